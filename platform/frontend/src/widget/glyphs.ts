// Drawn signs (Lucide, ISC), as paths: a frame of thirty kilobytes has no room for a sprite of hundreds.

const SVG = "http://www.w3.org/2000/svg";

/** A drawing of lines on a grid of 24; decoration only, so what it stands on needs a name. */
export function drawing(...paths: string[]): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const attributes = {
    viewBox: "0 0 24 24",
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "2",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    "aria-hidden": "true",
  };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  for (const path of paths) {
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", path);
    svg.append(line);
  }
  return svg;
}
