// Light, dark or as the system: a cookie, so that the server's next page comes in the right one.

export function startTheme(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as HTMLElement).closest<HTMLElement>("[data-theme-choice]");
    const theme = button?.dataset["themeChoice"];
    if (!button || !theme) return;
    document.documentElement.dataset["theme"] = theme;
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    for (const other of document.querySelectorAll<HTMLElement>("[data-theme-choice]")) {
      other.setAttribute("aria-checked", String(other.dataset["themeChoice"] === theme));
    }
    button.closest<HTMLElement>("[popover]")?.hidePopover();
    document.dispatchEvent(new CustomEvent("themechange"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("themechange"));
  });
}
