// data-own-time: a moment, said in the reader's own zone where that is not the page's (data-zone).
for (const place of document.querySelectorAll<HTMLElement>("[data-own-time]")) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const moment = new Date(place.dataset["ownTime"] ?? "");
  if (!own || Number.isNaN(moment.getTime())) continue;
  const language = document.documentElement.lang || "en";
  // As the pages write it: the day before the month, no commas.
  const written = (zone: string): string =>
    new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, {
      weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone,
    }).format(moment).replaceAll(",", "");
  if (written(own) === written(place.dataset["zone"] || "UTC")) continue;
  place.textContent = `${written(own)} ${place.dataset["label"] ?? ""} (${own.split("/").pop()?.replaceAll("_", " ")}). `;
}
