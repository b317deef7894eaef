// Native dialogs: data-dialog="id" opens one, data-close closes the one it stands in, Ctrl+K and / open the palette.
import { origin, typing } from "./dom";

function open(id: string | undefined): void {
  const dialog = id ? document.getElementById(id) : null;
  if (dialog instanceof HTMLDialogElement && !dialog.open) dialog.showModal();
}

// An opened palette starts empty, whatever was looked for before.
document.addEventListener(
  "close",
  (event) => {
    if (!(event.target instanceof HTMLDialogElement)) return;
    const field = event.target.querySelector<HTMLInputElement>("input[data-filter]");
    if (!field) return;
    field.value = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
  },
  true,
);

document.addEventListener("click", (event) => {
  const opener = origin(event, "[data-dialog]");
  if (opener) open(opener.dataset["dialog"]);
  if (origin(event, "[data-close]")) {
    const floating = origin(event, "dialog, [popover]");
    if (floating instanceof HTMLDialogElement) floating.close();
    else floating?.hidePopover();
  }
  // A click on the backdrop reaches the dialog itself, a click inside reaches something in it.
  if (event.target instanceof HTMLDialogElement && event.target.matches(".cs-palette")) event.target.close();
});

document.addEventListener("keydown", (event) => {
  const command = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
  const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing();
  if (!command && !slash) return;
  if (!document.getElementById("palette")) return;
  event.preventDefault();
  open("palette");
});
