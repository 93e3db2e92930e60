/** A claim that a JWT must have, with one of these values. */
export interface ClaimRule {
  readonly name: string;
  readonly values: ReadonlySet<string>;
}

/**
 * Reads `AUTH_CLAIMS`: rules separated by commas, each `name=value`, or `name=value|value` for one of several values. Names and
 * values are percent-decoded, so that `%2C` and `%7C` stand for a comma and a bar.
 * @returns undefined for a text that is not of this form.
 */
export function parseClaims(text: string): readonly ClaimRule[] | undefined {
  const rules: ClaimRule[] = [];
  for (const part of text.split(',')) {
    const [, name, values] = /^\s*([^=]+?)\s*=(.+)$/.exec(part) ?? [];
    if (name === undefined) return undefined;
    const known = values!.split('|').map((value) => value.trim());
    if (known.includes('')) return undefined;
    try {
      rules.push({ name: decodeURIComponent(name), values: new Set(known.map(decodeURIComponent)) });
    } catch {
      return undefined;
    }
  }
  return rules;
}

/**
 * The first rule that the claims of a JWT break. A claim with a list of values needs one of those of its rule. An email address
 * counts only if the issuer does not say that it is unverified.
 */
export function findBroken(
  rules: readonly ClaimRule[],
  claims: Readonly<Record<string, unknown>>,
): ClaimRule | undefined {
  return rules.find(({ name, values }) => {
    if (name === 'email' && isUnverified(claims)) return true;
    const claim = Object.hasOwn(claims, name) ? claims[name] : undefined;
    const given = Array.isArray(claim) ? claim : [claim];
    return !given.some((one) => (typeof one === 'string' || typeof one === 'boolean') && values.has(String(one)));
  });
}

/** Whether an issuer says that it has not verified the email address (OpenID Connect Core 1.0, 5.1). Some say it as a text. */
export const isUnverified = ({ email_verified }: Readonly<Record<string, unknown>>): boolean =>
  email_verified !== undefined && email_verified !== true && email_verified !== 'true';
