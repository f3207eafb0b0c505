// Doubly linked lists of nodes in typed arrays. Nodes and lists are numbered from 1; 0 is none, which makes zeroed memory
// a set of empty lists. A node is in at most one list, and the caller knows in which.

import type { Memory } from './memory.ts'

export class Links {
  /** From the newest (head) to the oldest (tail). */
  readonly older: Int32Array
  readonly newer: Int32Array
  readonly head: Int32Array
  readonly tail: Int32Array

  constructor(memory: Memory, nodes: number, lists: number) {
    this.older = memory.i32(nodes + 1)
    this.newer = memory.i32(nodes + 1)
    this.head = memory.i32(lists + 1)
    this.tail = memory.i32(lists + 1)
  }

  push(list: number, node: number): void {
    const second = this.head[list]!
    this.older[node] = second
    this.newer[node] = 0
    if (second === 0) this.tail[list] = node
    else this.newer[second] = node
    this.head[list] = node
  }

  unlink(list: number, node: number): void {
    const older = this.older[node]!
    const newer = this.newer[node]!
    if (newer === 0) this.head[list] = older
    else this.older[newer] = older
    if (older === 0) this.tail[list] = newer
    else this.newer[older] = newer
  }

  /** To the head of the list it is in. */
  renew(list: number, node: number): void {
    const head = this.head[list]!
    if (head === node) return
    const older = this.older[node]!
    const newer = this.newer[node]!
    this.older[newer] = older
    if (older === 0) this.tail[list] = newer
    else this.newer[older] = newer
    this.older[node] = head
    this.newer[node] = 0
    this.newer[head] = node
    this.head[list] = node
  }

  clear(): void {
    this.head.fill(0)
    this.tail.fill(0)
  }
}
