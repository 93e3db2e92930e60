/** Values in the order of their arrival. */
export interface Queue<T> {
  push(value: T): void;
  first(): T | undefined;
  shift(): T | undefined;
}

/** A first-in-first-out queue whose operations take constant time on average, however long it is. */
export function createQueue<T>(): Queue<T> {
  let values: T[] = [];
  let head = 0;
  return {
    push: (value) => void values.push(value),
    first: () => values[head],
    shift() {
      const value = values[head];
      if (value === undefined) return undefined;
      head += 1;
      if (head * 2 > values.length) {
        values = values.slice(head);
        head = 0;
      }
      return value;
    },
  };
}
