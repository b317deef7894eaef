// Places a popover menu beside its button where the browser has no anchor positioning, and moves in it by arrow keys.

const anchored = CSS.supports("position-area", "bottom");
const gap = 4;
const edge = 8;

function place(menu: HTMLElement): void {
  const button = document.querySelector<HTMLElement>(`[popovertarget="${CSS.escape(menu.id)}"]`);
  if (!button) return;
  const from = button.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const wanted = menu.classList.contains("dropdown-menu-end") ? from.right - size.width : from.left;
  const left = Math.max(edge, Math.min(wanted, document.documentElement.clientWidth - size.width - edge));
  const below = from.bottom + gap;
  const top = below + size.height > innerHeight ? Math.max(edge, from.top - gap - size.height) : below;
  Object.assign(menu.style, { inset: "auto", margin: "0", left: `${left}px`, top: `${top}px` });
}

document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (!(menu instanceof HTMLElement) || !menu.matches(".dropdown-menu:popover-open")) return;
    if (!anchored) place(menu);
    // On a touch screen the keyboard would cover half of the menu.
    if (matchMedia("(pointer: fine)").matches) menu.querySelector<HTMLElement>("[data-filter]")?.focus();
  },
  true,
);

document.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const menu = document.querySelector<HTMLElement>(".dropdown-menu:popover-open");
  if (!menu) return;
  const items = [...menu.querySelectorAll<HTMLElement>(".dropdown-item")].filter((item) => item.offsetParent !== null);
  if (items.length === 0) return;
  event.preventDefault();
  const at = items.indexOf(document.activeElement as HTMLElement);
  const step = event.key === "ArrowDown" ? 1 : -1;
  const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : (at + step + items.length) % items.length;
  items[next]?.focus();
});
