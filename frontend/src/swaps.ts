// What htmx leaves to the page: where the focus goes after a swap, and what a person hears when a request fails.

document.addEventListener("htmx:afterSettle", (event) => {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return;
  if (target.id !== "main" && target.dataset["focus"] === undefined) return;
  const heading = target.querySelector<HTMLElement>("h1, h2");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: target.id !== "main" });
});

for (const kind of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(kind, () => {
    const say = document.getElementById("say");
    if (!say) return;
    say.textContent = say.dataset["failed"] ?? "";
    say.classList.remove("visually-hidden");
  });
}
