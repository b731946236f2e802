// Strings of the interface. The catalogue is a script that the page loads before this one (web:catalogue);
// `manage.py messages` finds the texts as t("…") and tn("…", "…", n): write them as double-quoted literals.

interface Catalogue {
  gettext(text: string): string;
  ngettext(one: string, many: string, count: number): string;
}

declare global {
  var django: Catalogue | undefined;
}

type Values = Record<string, string | number>;

function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text in the page's language, with `{name}` filled in. */
export function t(text: string, values: Values = {}): string {
  return fill(globalThis.django?.gettext?.(text) ?? text, values);
}

/** The text for one or for many; `{count}` is filled in. */
export function tn(one: string, many: string, count: number, values: Values = {}): string {
  const text = globalThis.django?.ngettext?.(one, many, count) ?? (count === 1 ? one : many);
  return fill(text, { count, ...values });
}

/** The language of the page: `en` or `zh-Hans`. */
export function language(): string {
  return document.documentElement.lang || "en";
}
