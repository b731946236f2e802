// Figures of evaluations: what they are called and how they are written. The same words as rootstock/modelhub/report.py.
import { formatNumber, formatPercent } from "./format";
import { t } from "./i18n";

const PLAIN = new Set([
  "chrf", "bleu", "perplexity", "log_likelihood", "nll", "brier", "bits_per_character", "length_ratio", "spearman", "pearson", "loss",
]);

const NAMES: Record<string, () => string> = {
  accuracy: () => t("Accuracy"),
  macro_f1: () => t("Macro F1"),
  micro_f1: () => t("Micro F1"),
  f1: () => t("F1 of entities"),
  spearman: () => t("Spearman correlation"),
  average_precision: () => t("Average precision"),
  ndcg_at_10: () => "nDCG@10",
  chrf: () => "chrF",
  log_likelihood: () => t("Log-likelihood of a token"),
  loss: () => t("Validation loss"),
};

/** A figure in words; one that has none keeps its key. */
export function figureName(key: string): string {
  return NAMES[key]?.() ?? key.replaceAll("_at_", "@").replaceAll("_", " ");
}

/** Whether it is a share of something, so written as a percentage. */
export function isShare(key: string): boolean {
  return !PLAIN.has(key);
}

export function figureText(key: string, value: number): string {
  return isShare(key) ? formatPercent(value, 1) : formatNumber(value, 3);
}
