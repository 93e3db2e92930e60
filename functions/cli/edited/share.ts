import { InvalidArgumentError } from 'commander';

/** A parser of an option that takes a number from 0 to 1. */
export function readShare(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It takes a number from 0 to 1.');
}
