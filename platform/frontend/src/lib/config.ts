// What the server tells the shell about this page and person (rootstock.web.context.Shell.config).

export interface PaletteEntry {
  label: string;
  group: string;
  url: string;
  icon: string;
  keys: string;
}

export interface ShellConfig {
  sprite: string;
  palette: PaletteEntry[];
  timeZone: string;
  jobs: boolean;
  mayCancelJobs: boolean;
  attentionUrl: string;
  attentionStreams: string[];
}

/** The content of a `{{ value|json_script:"id" }}` element, or null where the page has none. */
export function pageData<T>(id: string): T | null {
  const text = document.getElementById(id)?.textContent;
  return text ? (JSON.parse(text) as T) : null;
}

export const config = pageData<ShellConfig>("shell-config");
