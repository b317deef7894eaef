// data-filter="id of a list": typing hides the entries that do not hold every word; Enter follows the first that does.
import { origin } from "./dom";

function entries(field: HTMLInputElement): HTMLElement[] {
  const list = document.getElementById(field.dataset["filter"] ?? "");
  return list ? [...list.querySelectorAll<HTMLElement>("[data-entry]")] : [];
}

function link(entry: HTMLElement | undefined): HTMLElement | null {
  if (!entry) return null;
  return entry.matches("a") ? entry : entry.querySelector<HTMLElement>("a");
}

function apply(field: HTMLInputElement): HTMLElement[] {
  const words = field.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const shown = entries(field).filter((entry) => {
    const text = (entry.textContent ?? "").toLocaleLowerCase();
    entry.hidden = !words.every((word) => text.includes(word));
    link(entry)?.classList.remove("on");
    return !entry.hidden;
  });
  if (words.length > 0) link(shown[0])?.classList.add("on");
  return shown;
}

document.addEventListener("input", (event) => {
  const field = origin<HTMLInputElement>(event, "input[data-filter]");
  if (field) apply(field);
});

document.addEventListener("keydown", (event) => {
  const field = origin<HTMLInputElement>(event, "input[data-filter]");
  const links = [...document.querySelectorAll<HTMLElement>("dialog[open] [data-entry]:not([hidden]) a")];
  if (field && event.key === "Enter") {
    event.preventDefault();
    link(apply(field)[0])?.click();
  } else if (links.length > 0 && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    const at = links.indexOf(document.activeElement as HTMLElement) + (event.key === "ArrowDown" ? 1 : -1);
    if (at < 0) document.querySelector<HTMLElement>("dialog[open] input[data-filter]")?.focus();
    else links[Math.min(at, links.length - 1)]?.focus();
  }
});
