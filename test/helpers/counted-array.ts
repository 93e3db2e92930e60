/** An array that counts how often an element of it is looked at. */
export function countedArray<T>(elements: readonly T[]): { array: readonly T[]; looks: () => number } {
  let looks = 0;
  const array = new Proxy(elements, {
    get(target, key, receiver) {
      if (typeof key === 'string' && /^\d+$/.test(key)) looks++;
      return Reflect.get(target, key, receiver);
    },
  });
  return { array, looks: () => looks };
}
