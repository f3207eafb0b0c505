// One doubly linked list of nodes, closed to a ring by node 0, which stands between the oldest and the newest: no end is a
// special case, and zeroed memory is the empty ring. Both links of a node lie side by side. Its owner knows who is in.

import type { Memory } from './memory.ts'

export class Ring {
  /** [2 x node] the next older one, [2 x node + 1] the next newer one. */
  readonly #links: Int32Array

  constructor(memory: Memory, nodes: number) {
    this.#links = memory.i32(2 * (nodes + 1))
  }

  /** 0: nobody is in. */
  get newest(): number {
    return this.#links[0]!
  }

  /** 0: nobody is in. */
  get oldest(): number {
    return this.#links[1]!
  }

  /** 0: it is the newest. */
  newer(node: number): number {
    return this.#links[2 * node + 1]!
  }

  push(node: number): void {
    const links = this.#links
    const second = links[0]!
    links[2 * node] = second
    links[2 * node + 1] = 0
    links[2 * second + 1] = node
    links[0] = node
  }

  unlink(node: number): void {
    const links = this.#links
    const older = links[2 * node]!
    const newer = links[2 * node + 1]!
    links[2 * newer] = older
    links[2 * older + 1] = newer
  }

  /** The newest from now on. */
  renew(node: number): void {
    if (this.#links[0] === node) return
    this.unlink(node)
    this.push(node)
  }

  clear(): void {
    this.#links[0] = 0
    this.#links[1] = 0
  }
}
