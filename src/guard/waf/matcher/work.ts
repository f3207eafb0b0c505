// How much the rules may compute for one request: counted in steps, never in time, so that the same request has the same
// verdict on every machine. A step is about one byte looked at; making a state of an automaton costs several.

export class Work {
  left: number
  readonly most: number

  constructor(most: number) {
    this.most = most
    this.left = most
  }

  /** False: nothing is left, and what was asked is not decided. */
  spend(steps: number): boolean {
    this.left -= steps
    return this.left > 0
  }

  get exhausted(): boolean {
    return this.left <= 0
  }
}
