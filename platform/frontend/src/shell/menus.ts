// Popover menus: place them under their button, say whether they are open, walk them with the arrow keys.

function place(button: HTMLElement, menu: HTMLElement): void {
  const edge = 8;
  const anchor = button.getBoundingClientRect();
  const left = anchor.left + menu.offsetWidth + edge > innerWidth ? anchor.right - menu.offsetWidth : anchor.left;
  menu.style.left = `${Math.max(edge, Math.min(left, innerWidth - menu.offsetWidth - edge))}px`;
  const below = anchor.bottom + edge / 2;
  const above = anchor.top - menu.offsetHeight - edge / 2;
  menu.style.top = `${below + menu.offsetHeight + edge > innerHeight && above > edge ? above : below}px`;
}

function items(menu: HTMLElement): HTMLElement[] {
  return [...menu.querySelectorAll<HTMLElement>(".menu-item")].filter((item) => item.offsetParent !== null);
}

export function startMenus(): void {
  document.addEventListener(
    "toggle",
    (event) => {
      const menu = event.target as HTMLElement;
      if (!menu.matches?.(".menu[popover]")) return;
      const open = (event as ToggleEvent).newState === "open";
      for (const button of document.querySelectorAll<HTMLElement>(`[popovertarget="${menu.id}"]`)) {
        button.setAttribute("aria-expanded", String(open));
        if (open && button.offsetParent !== null) place(button, menu);
      }
      if (open && menu.getAttribute("role") === "menu") {
        const list = items(menu);
        (list.find((item) => item.getAttribute("aria-checked") === "true") ?? list[0])?.focus();
      }
    },
    true,
  );
  document.addEventListener("keydown", (event) => {
    const menu = (event.target as HTMLElement).closest<HTMLElement>('[role="menu"]');
    if (!menu) return;
    const list = items(menu);
    const at = list.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 }[event.key];
    if (next === undefined || list.length === 0) return;
    event.preventDefault();
    list[(next + list.length) % list.length]?.focus();
  });
  addEventListener("resize", () => {
    for (const menu of document.querySelectorAll<HTMLElement>(".menu:popover-open")) menu.hidePopover();
  });
}
