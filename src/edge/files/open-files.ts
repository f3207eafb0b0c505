// Descriptors of files that are too large for memory: shared by who sends them now, kept a moment for who comes next,
// bounded. A descriptor is closed only when nobody reads from it.

import { closeOpen } from '../../io/files.ts'

/** Per worker, files that are being sent, read or kept. */
const openMax = 512
/** Kept while nobody reads from them. */
const idleMax = 64
const idleUs = 5_000_000

export class OpenFile {
  readonly descriptor: number
  readonly #files: OpenFiles
  #users = 1
  idleSince = 0
  /** Must not be used any more. */
  closed = false

  constructor(files: OpenFiles, descriptor: number) {
    this.#files = files
    this.descriptor = descriptor
  }

  use(): void {
    if (this.#users++ === 0) this.#files.busy(this)
  }
  release(now: number): void {
    this.idleSince = now
    if (--this.#users === 0) this.#files.idle(this)
  }
}

export class OpenFiles {
  #count = 0
  /** Oldest first. */
  readonly #idle = new Set<OpenFile>()
  #timer: NodeJS.Timeout | null = null
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  get count(): number {
    return this.#count
  }

  /** A place for one more descriptor; false: all are in use. `give` it back, or `keep` what was opened. */
  take(): boolean {
    if (this.#count >= openMax) {
      const oldest = this.#idle.values().next().value
      if (oldest === undefined) return false
      this.#close(oldest)
    }
    this.#count++
    return true
  }

  /** The place is not needed any more; its descriptor, if there was one, is closed already. */
  give(): void {
    this.#count--
  }

  /** The descriptor is used from now on until it is released. */
  keep(descriptor: number): OpenFile {
    return new OpenFile(this, descriptor)
  }

  busy(file: OpenFile): void {
    this.#idle.delete(file)
  }

  idle(file: OpenFile): void {
    this.#idle.add(file)
    if (this.#idle.size > idleMax) this.#close(this.#idle.values().next().value as OpenFile)
    this.#timer ??= setInterval(() => this.#sweep(), idleUs / 1000).unref()
  }

  #sweep(): void {
    const end = this.#now() - idleUs
    for (const file of this.#idle) {
      if (file.idleSince > end) break
      this.#close(file)
    }
    if (this.#idle.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }

  #close(file: OpenFile): void {
    this.#idle.delete(file)
    this.#count--
    file.closed = true
    closeOpen(file.descriptor)
  }
}
