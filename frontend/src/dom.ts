/** The nearest ancestor of an event's target (or the target itself) that matches, as an element of the wanted kind. */
export function origin<T extends HTMLElement>(event: Event, selector: string): T | null {
  return event.target instanceof Element ? event.target.closest<T>(selector) : null;
}

/** True while a person types into a field, so that single keys are letters and no commands. */
export function typing(): boolean {
  const at = document.activeElement;
  return at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName));
}
