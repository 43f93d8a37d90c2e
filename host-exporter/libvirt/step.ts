/** Something that happens once, however often it is asked for; whoever asks again gets the same answer, be it a failure. */
export interface Step<T> {
  /** What it came to, or undefined when it has not been asked for. */
  readonly answer: Promise<T> | undefined;
  take(): Promise<T>;
}

export function createStep<T>(work: () => Promise<T>): Step<T> {
  let answer: Promise<T> | undefined;
  return {
    get answer() {
      return answer;
    },
    take: () => {
      answer ??= work();
      return answer;
    },
  };
}
