// Numbers, times and durations in the page's language and the organisation's time zone.
import { config } from "./config";
import { language, t } from "./i18n";

/** 12345.6 as "12,345.6"; an em dash for nothing. */
export function formatNumber(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "—";
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** 0.873 as "87 %". */
export function formatPercent(value: number | null | undefined, digits = 0): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "—";
  return `${(value * 100).toFixed(digits)}\u202f%`;
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** "3 minutes ago"; a date once it is more than a week away. */
export function formatRelative(moment: Date, now = Date.now()): string {
  const seconds = (moment.getTime() - now) / 1000;
  if (Math.abs(seconds) < 45) return seconds > 5 ? t("in a moment") : t("just now");
  if (Math.abs(seconds) > 7 * 86_400) return formatMoment(moment, { dateStyle: "medium" });
  const format = new Intl.RelativeTimeFormat(language(), { numeric: "auto" });
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size * 0.95) return format.format(Math.round(seconds / size), unit);
  }
  return format.format(Math.round(seconds / 60), "minute");
}

/** A moment in the organisation's time zone. */
export function formatMoment(
  moment: Date,
  options: Intl.DateTimeFormatOptions = { dateStyle: "medium", timeStyle: "short" },
): string {
  const zone = config?.timeZone ? { timeZone: config.timeZone } : {};
  return new Intl.DateTimeFormat(language(), { ...zone, ...options }).format(moment);
}

/** 95 seconds as "2 min": what is left of a job. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return t("{n} s", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 3_600) return t("{n} min", { n: Math.round(seconds / 60) });
  const hours = Math.floor(seconds / 3_600);
  return t("{h} h {m} min", { h: hours, m: Math.round((seconds - hours * 3_600) / 60) });
}
