// Colours that can be read whatever the company's own colour is. WCAG 2 contrast.

type Rgb = [number, number, number];

export const DEFAULT_COLOUR = "#4450c4";
const TEXT_CONTRAST = 4.5;

function rgb(hex: string): Rgb {
  const digits = /^#[0-9a-f]{6}$/i.test(hex) ? hex.slice(1) : DEFAULT_COLOUR.slice(1);
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16)) as Rgb;
}

function hex(parts: Rgb): string {
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

function luminance(parts: Rgb): number {
  const [r, g, b] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** From 1 (the same) to 21 (black on white). */
export function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(rgb(one)), luminance(rgb(other))].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** White or black, whichever can be read on the colour: one of them always has a contrast of 4.5. */
export function textOn(colour: string): string {
  return contrast(colour, "#ffffff") >= TEXT_CONTRAST ? "#ffffff" : "#000000";
}

/** The colour, made darker or lighter until it can be read as text on the ground. */
export function readableOn(colour: string, ground: string): string {
  const towards: Rgb = luminance(rgb(ground)) > 0.18 ? [0, 0, 0] : [255, 255, 255];
  let parts = rgb(colour);
  for (let step = 0; step < 24 && contrast(hex(parts), ground) < TEXT_CONTRAST; step++) {
    parts = parts.map((part, at) => part + ((towards[at] ?? 0) - part) * 0.1) as Rgb;
  }
  return hex(parts);
}
