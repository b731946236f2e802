// The widget beside the form that describes it: the frame that visitors see, told of every change as it is typed.
import { pageData } from "../lib/config";
import { language, t } from "../lib/i18n";
import { contrast, DEFAULT_COLOUR, textOn } from "../widget/colour";
import { type Language, post, received, type Texts, type ToHost } from "../widget/protocol";

const form = document.querySelector<HTMLFormElement>("#look-form")!;
const page = document.querySelector<HTMLElement>("#preview-page")!;
const frame = document.querySelector<HTMLIFrameElement>("#preview-frame")!;
const launcher = document.querySelector<HTMLElement>("#preview-launcher")!;
const said = document.querySelector<HTMLElement>("#preview-contrast")!;
const width = document.querySelector<HTMLSelectElement>("#preview-width")!;
const scheme = document.querySelector<HTMLSelectElement>("#preview-scheme")!;
const words = document.querySelector<HTMLSelectElement>("#preview-language")!;
let loaded = false;

function value(name: string): string {
  return (form.elements.namedItem(name) as HTMLInputElement | null)?.value ?? "";
}

function texts(name: string): Texts {
  return { en: value(`${name}_en`), zh: value(`${name}_zh`) };
}

function suggestions(): Texts[] {
  const [en, zh] = ["en", "zh"].map((code) => value(`suggestions_${code}`).split("\n")) as [string[], string[]];
  const count = Math.max(en.length, zh.length);
  return Array.from({ length: count }, (_, at) => ({ en: en[at]?.trim() ?? "", zh: zh[at]?.trim() ?? "" }));
}

function show(): void {
  const colour = /^#[0-9a-f]{6}$/i.test(value("colour")) ? value("colour") : DEFAULT_COLOUR;
  const on = textOn(colour);
  page.dataset["width"] = width.value;
  page.dataset["scheme"] = scheme.value;
  page.dataset["position"] = value("position");
  launcher.style.setProperty("background", colour);
  launcher.style.setProperty("color", on);
  said.textContent = t("{text} text on the colour: contrast {ratio}.", {
    text: on === "#ffffff" ? t("White") : t("Black"),
    ratio: contrast(colour, on).toFixed(1),
  });
  if (!loaded || !frame.contentWindow) return;
  post(frame.contentWindow, location.origin, {
    type: "hello",
    page: { url: "", title: "", language: words.value as Language, scheme: scheme.value as "light" | "dark" },
    open: true,
    identity: null,
    preview: { colour, title: texts("title"), greeting: texts("greeting"), suggestions: suggestions() },
  });
}

words.value = language().startsWith("zh") ? "zh" : "en";
scheme.value = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
addEventListener("message", (event) => {
  if (received<ToHost>(event, frame.contentWindow, location.origin)?.type !== "loaded") return;
  loaded = true;
  show();
});
form.addEventListener("input", show);
for (const choice of [width, scheme, words]) choice.addEventListener("change", show);
frame.src = `${pageData<{ url: string }>("channel-preview")!.url}#${encodeURIComponent(location.origin)}`;
show();
