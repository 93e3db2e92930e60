import { spawn } from 'node:child_process';

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [program: string, ...args: string[]]>>> = {
  darwin: ['open'],
};

/** Opens a page in the default browser, without waiting for it. @param say called with a line if there is none */
export function openPage(url: string, say: (line: string) => void): void {
  const [program, ...args] = OPENERS[process.platform] ?? ['xdg-open'];
  const fail = (): void => say(`no browser was opened: ${program} did not work; open ${url}`);
  const child = spawn(program, [...args, url], { stdio: 'ignore', detached: true });
  child.on('error', fail);
  child.on('exit', (code) => code !== 0 && fail());
  child.unref();
}
