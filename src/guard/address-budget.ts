// How often one address may ask for something that costs us, in windows of time: bounded, per worker, forgetful when there are
// too many addresses at once (then the bound on what is under way holds).

const windowMs = 10_000
const addressesMax = 20_000

export class AddressBudget {
  readonly #most: number
  readonly #used = new Map<string, number>()
  #window = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Would it get one more? */
  has(address: string, nowMs: number): boolean {
    this.#begin(nowMs)
    return (this.#used.get(address) ?? 0) < this.#most
  }

  #begin(nowMs: number): void {
    const window = Math.floor(nowMs / windowMs)
    if (window === this.#window && this.#used.size < addressesMax) return
    this.#window = window
    this.#used.clear()
  }

  /** False: this address has had its share of this window. */
  take(address: string, nowMs: number): boolean {
    this.#begin(nowMs)
    const used = this.#used.get(address) ?? 0
    if (used >= this.#most) return false
    this.#used.set(address, used + 1)
    return true
  }
}
