import { byId } from './dom.ts';
import { onRefused } from './failure.ts';
import { setToken, tokenNow } from './session.ts';

/** Connects the field for the bearer token, which is shown when the server asks for one. @param onChange called when another token is to be used. */
export function createTokenBar(onChange: () => void): { ask(hadToken: boolean): void } {
  const bar = byId('token-bar');
  const open = byId('token-open');
  const input = byId<HTMLInputElement>('token');
  const note = byId('token-note');

  function show(isShown: boolean): void {
    bar.hidden = !isShown;
    open.hidden = false;
    open.setAttribute('aria-expanded', String(isShown));
  }

  function use(token: string): void {
    setToken(token);
    input.value = '';
    note.textContent = '';
    show(false);
    onChange();
  }

  function ask(hadToken: boolean): void {
    show(true);
    note.textContent = hadToken
      ? 'The server does not take this token: it is wrong, or has expired.'
      : 'The server asks for a token.';
    // No text that is being typed loses the focus.
    if (document.activeElement === document.body) input.focus();
  }

  open.addEventListener('click', () => {
    show(bar.hidden === true);
    if (!bar.hidden) input.focus();
  });
  byId('token-form').addEventListener('submit', (event) => {
    event.preventDefault();
    if (input.value.trim() !== '') use(input.value.trim());
  });
  byId('token-forget').addEventListener('click', () => use(''));
  onRefused(ask);
  open.hidden = tokenNow() === '';
  return { ask };
}
