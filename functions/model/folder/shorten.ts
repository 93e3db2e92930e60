const MOST = 80;

/** A text of a caller as a message shows it, up to 80 characters: an error must not be as long as what it refuses. */
export function shorten(text: string): string {
  return text.length > MOST ? `${text.slice(0, MOST).toWellFormed()}…` : text;
}
