// Brings one file from the disk: where it really is, that this is inside of the root, what it is, and its bytes or an
// open descriptor. Never gives bytes of two states of a file: what changes while it is read is read again. Ends with one call.
//
// Steps: real path -> root's real path -> open (no link, no folder swapped meanwhile) -> facts -> bytes -> facts again
// -> packed files beside it -> done.

import {
  closeOpen,
  type FileFacts,
  factsAt,
  factsOfOpen,
  openReal,
  readOpen,
  realPathOf,
} from '../../io/files.ts'
import type { Coding } from '../../policy/negotiate.ts'
import { type ClientFailure, clientFailures } from '../failures.ts'
import { isInside } from './file-path.ts'
import type { OpenFiles } from './open-files.ts'

/** Larger files are sent from the disk. */
export const memoryBytesMax = 262_144
/** A file that changed less than this before it was read may change again without its times telling. */
const settledMs = 2_000
const triesMax = 3
/** A packed file may be this much older than what it was made from: copies of both are made one after the other. */
const packedOlderMs = 2_000

export const endings: readonly (readonly [Coding, string])[] = [
  ['br', '.br'],
  ['zstd', '.zst'],
  ['gzip', '.gz'],
]

export interface LoadedFile {
  readonly real: string
  readonly facts: FileFacts
  readonly settled: boolean
  /** Its bytes, or null and a descriptor that the receiver must `keep` or close with `openFiles.give`. */
  readonly bytes: Buffer | null
  readonly descriptor: number
  readonly packed: readonly Coding[]
}

export type LoadOutcome = LoadedFile | 'missing' | 'directory' | ClientFailure

export interface LoadRequest {
  readonly openFiles: OpenFiles
  readonly root: string
  /** The root without links; asked for again when it is not known or does not fit. */
  rootReal(anew: boolean, done: (real: string) => void): void
  readonly path: string
  readonly wantsPacked: boolean
  wallMs(): number
}

export function loadFile(request: LoadRequest, done: (outcome: LoadOutcome) => void): void {
  new FileLoad(request, done).start()
}

/** What the system says about a name that leads to nothing servable. */
const absent = new Set([
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'EACCES',
  'EPERM',
  'ENXIO',
  'EINVAL',
  'EISDIR',
])

class FileLoad {
  readonly #request: LoadRequest
  readonly #done: (outcome: LoadOutcome) => void
  #real = ''
  #tries = 0
  #descriptor = -1

  constructor(request: LoadRequest, done: (outcome: LoadOutcome) => void) {
    this.#request = request
    this.#done = done
  }

  start(): void {
    this.#tries++
    realPathOf(this.#request.path, (code, real) => {
      if (code !== '') this.#fail(code)
      else {
        this.#real = real
        this.#checkPlace(false)
      }
    })
  }

  #checkPlace(anew: boolean): void {
    this.#request.rootReal(anew, root => {
      if (root !== '' && isInside(this.#real, root)) this.#open()
      // The root may itself be a link that was switched to another release.
      else if (!anew) this.#checkPlace(true)
      else this.#done('missing')
    })
  }

  #open(): void {
    if (!this.#request.openFiles.take()) {
      this.#done(clientFailures.filesBusy)
      return
    }
    openReal(this.#real, (code, descriptor) => {
      this.#descriptor = descriptor
      if (code === '') this.#look()
      else {
        this.#request.openFiles.give()
        this.#fail(code)
      }
    })
  }

  #look(): void {
    factsOfOpen(this.#descriptor, (code, facts) => {
      if (code !== '') this.#close(code)
      else if (facts.isDirectory) this.#close('directory')
      else if (!facts.isFile) this.#close('ENOENT')
      else if (facts.size > memoryBytesMax) this.#findPacked(facts, this.#hasSettled(facts), null)
      else this.#read(facts, Buffer.allocUnsafeSlow(facts.size), 0)
    })
  }

  #hasSettled(facts: FileFacts): boolean {
    return this.#request.wallMs() - Math.max(facts.mtimeMs, facts.ctimeMs) > settledMs
  }

  #read(facts: FileFacts, bytes: Buffer, from: number): void {
    readOpen(this.#descriptor, bytes, from, bytes.length, from, (code, count) => {
      if (code !== '') this.#close(code)
      else if (count > 0 && from + count < bytes.length) this.#read(facts, bytes, from + count)
      else this.#compare(facts, from + count === bytes.length ? bytes : null)
    })
  }

  /** The same before and after: then no write came between, as far as the clock can tell. */
  #compare(before: FileFacts, bytes: Buffer | null): void {
    factsOfOpen(this.#descriptor, (code, after) => {
      const same = code === '' && after.mtimeMs === before.mtimeMs && after.ctimeMs === before.ctimeMs
      if (bytes !== null && same && after.size === before.size) {
        this.#findPacked(before, this.#hasSettled(before), bytes)
        return
      }
      this.#closeQuietly()
      if (this.#tries < triesMax) this.start()
      else this.#done(clientFailures.fileUnreadable)
    })
  }

  #findPacked(facts: FileFacts, settled: boolean, bytes: Buffer | null): void {
    const finish = (packed: readonly Coding[]): void => {
      const descriptor = bytes === null ? this.#descriptor : -1
      if (bytes !== null) this.#closeQuietly()
      this.#done({ real: this.#real, facts, settled, bytes, descriptor, packed })
    }
    if (this.#request.wantsPacked) findPacked(this.#request.path, facts, finish)
    else finish([])
  }

  #closeQuietly(): void {
    closeOpen(this.#descriptor)
    this.#request.openFiles.give()
  }

  #close(code: string): void {
    this.#closeQuietly()
    this.#fail(code)
  }

  #fail(code: string): void {
    if (code === 'directory') this.#done('directory')
    // A link came in at this very moment: look again where it leads.
    else if (code === 'ELOOP' && this.#tries < triesMax && this.#descriptor < 0) this.start()
    else if (absent.has(code)) this.#done('missing')
    else
      this.#done(
        code === 'EMFILE' || code === 'ENFILE' ? clientFailures.filesBusy : clientFailures.fileUnreadable,
      )
  }
}

/** Which packed files stand beside it and are not older than it: where they really are is looked at when they are read. */
export function findPacked(path: string, facts: FileFacts, done: (packed: readonly Coding[]) => void): void {
  const found = new Set<Coding>()
  let left = endings.length
  for (const [coding, ending] of endings) {
    factsAt(path + ending, (code, beside) => {
      if (code === '' && beside.isFile && beside.mtimeMs >= facts.mtimeMs - packedOlderMs) found.add(coding)
      if (--left === 0) done(endings.map(([one]) => one).filter(one => found.has(one)))
    })
  }
}
