const MAX_CHARACTERS = 80;
const MAX_NAMES = 20;

/**
 * A text as an error message shows it, so that the message is not as long as what it refuses.
 * @param most UTF-16 units that are shown; the rest is an ellipsis.
 */
export function shorten(text: string, most = MAX_CHARACTERS): string {
  return text.length > most ? `${text.slice(0, most).toWellFormed()}…` : text;
}

/** Names as an error message lists them, in the order given: the first 20, each as {@link shorten} gives it. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).map((name) => shorten(name));
  return shown.join(', ') + (names.length > MAX_NAMES ? ', …' : '');
}
