const ACTIVITY_SECONDS = 10;
const MASK = 2 ** ACTIVITY_SECONDS - 1;

/**
 * In which of the last ten seconds a model was used. Seconds are counted, not requests: otherwise a caller could make a model look
 * busier than another by sending requests fast.
 */
export class Activity {
  /** Bit `n` is set if the model was used `n` seconds before `#second`. */
  #bits = 0;
  /** The second of the latest use. */
  #second = 0;

  /** Records a use. @param now milliseconds of `performance.now()` */
  mark(now: number): void {
    const second = Math.floor(now / 1000);
    if (second === this.#second) {
      this.#bits |= 1;
      return;
    }
    this.#bits = this.#at(second) | 1;
    this.#second = second;
  }

  /** In how many of the last ten seconds the model was used, the present one included. @param now as in `mark` */
  seconds(now: number): number {
    let count = 0;
    for (let bits = this.#at(Math.floor(now / 1000)); bits !== 0; bits &= bits - 1) count++;
    return count;
  }

  /** Adds the uses of another activity, which was that of the same model before. */
  adopt(before: Activity): void {
    const second = Math.max(this.#second, before.#second);
    this.#bits = this.#at(second) | before.#at(second);
    this.#second = second;
  }

  #at(second: number): number {
    const passed = second - this.#second;
    return passed < ACTIVITY_SECONDS ? (this.#bits << passed) & MASK : 0;
  }
}
