// On narrow screens the navigation is a drawer.

export function startSide(): void {
  const side = document.getElementById("side");
  const scrim = document.querySelector<HTMLElement>(".side-scrim");
  if (!side || !scrim) return;
  const opener = document.querySelector<HTMLElement>(".bar-menu");
  const show = (open: boolean): void => {
    side.toggleAttribute("data-open", open);
    scrim.toggleAttribute("data-open", open);
    scrim.hidden = !open;
    opener?.setAttribute("aria-expanded", String(open));
    if (open) side.querySelector<HTMLElement>("[aria-current], a")?.focus();
    else opener?.focus();
  };
  document.addEventListener("click", (event) => {
    if ((event.target as HTMLElement).closest("[data-side-toggle]")) show(!side.hasAttribute("data-open"));
  });
  side.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && side.hasAttribute("data-open")) show(false);
  });
  side.addEventListener("focusout", (event) => {
    const next = event.relatedTarget as Node | null;
    if (side.hasAttribute("data-open") && next && !side.contains(next)) show(false);
  });
}
