// Files of one root as one route serves them, kept while they are hot: fresh for a second without a look at the disk,
// then checked by their facts. Memory over all shelves of a worker is bounded; a file is kept from its second use on.
// Who asks gets an entry at once where it is fresh, else by a call; those who ask for the same meanwhile share the work.

import { factsAt, realPathOf } from '../../io/files.ts'
import { packWhole, zstdSupported } from '../../io/zlib.ts'
import { type Coding, isOfTypes } from '../../policy/negotiate.ts'
import type { WorkerContext } from '../context.ts'
import type { ClientFailure } from '../failures.ts'
import type { CompressSpec, RouteAction } from '../snapshot.ts'
import {
  contentTag,
  FileEntry,
  factsTag,
  keepBytes,
  type Representation,
  representationOf,
  sameFacts,
} from './file-entry.ts'
import { endings, findPacked, type LoadedFile, type LoadOutcome, loadFile } from './file-load.ts'
import { hasContentHash } from './file-path.ts'
import { isPackable, typeOf } from './file-types.ts'
import { OpenFiles } from './open-files.ts'

const freshUs = 1_000_000
/** Per worker: bytes of files (and of what was made of them), and entries with or without bytes. */
const bytesMax = 64 << 20
const entriesMax = 16_384
const year = 'public, max-age=31536000, immutable'

export type FilesSpec = Extract<RouteAction, { kind: 'files' }>
export type FindOutcome = FileEntry | 'missing' | 'directory' | ClientFailure
type Found = (outcome: FindOutcome) => void

/** All shelves of a worker. They outlive snapshots: a reload does not make anything cold. */
export class FileStore {
  readonly worker: WorkerContext
  readonly openFiles: OpenFiles
  readonly #shelves = new Map<string, FileShelf>()
  /** In the order in which the clock's hand comes to them. */
  readonly #kept = new Map<FileEntry, FileShelf>()
  #bytes = 0

  constructor(worker: WorkerContext) {
    this.worker = worker
    this.openFiles = new OpenFiles(() => worker.now)
  }

  /** Of bytes in memory; for tests and figures. */
  get bytes(): number {
    return this.#bytes
  }

  shelfFor(spec: FilesSpec, compress: CompressSpec | undefined): FileShelf {
    const { root, precompressed, cacheControl, immutable } = spec
    const key = JSON.stringify([root, precompressed, cacheControl, immutable, compress])
    let shelf = this.#shelves.get(key)
    if (shelf === undefined) this.#shelves.set(key, (shelf = new FileShelf(this, spec, compress)))
    return shelf
  }

  /** It was made or asked for; its memory counts from now on. */
  keep(shelf: FileShelf, entry: FileEntry, bytes: number): void {
    this.#bytes += bytes
    if (!entry.kept) {
      entry.kept = true
      this.#kept.set(entry, shelf)
    }
    this.#makeRoom(entry)
  }

  drop(entry: FileEntry): void {
    if (!entry.kept) return
    entry.kept = false
    this.#kept.delete(entry)
    this.#bytes -= entry.bytes
  }

  /** Second chance: who was asked for since the hand last came by stays for another round. */
  #makeRoom(spared: FileEntry): void {
    while (this.#bytes > bytesMax || this.#kept.size > entriesMax) {
      const [first] = this.#kept as Iterable<[FileEntry, FileShelf]>
      if (first === undefined) return
      const [entry, shelf] = first
      this.#kept.delete(entry)
      if (entry.touched || (entry === spared && this.#kept.size > 0)) {
        entry.touched = false
        this.#kept.set(entry, shelf)
      } else {
        this.#kept.set(entry, shelf)
        shelf.forget(entry)
      }
    }
  }
}

export class FileShelf {
  readonly #store: FileStore
  readonly #spec: FilesSpec
  readonly #compress: CompressSpec | null
  readonly #entries = new Map<string, FileEntry>()
  readonly #waiting = new Map<string, Found[]>()
  readonly #making = new Map<string, ((made: Representation | null) => void)[]>()
  #rootReal = ''
  #rootSeenAt = 0

  constructor(store: FileStore, spec: FilesSpec, compress: CompressSpec | undefined) {
    this.#store = store
    this.#spec = spec
    this.#compress = compress ?? null
  }

  get #worker(): WorkerContext {
    return this.#store.worker
  }

  /** Null: nobody knows yet, `find` it. */
  fresh(key: string): FileEntry | null {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.freshUntil < this.#worker.now || !entry.ready) return null
    entry.touched = true
    return entry
  }

  /** `name` begins with a slash. With a coding: the packed file beside it, under the type of the name itself. */
  find(name: string, coding: Coding | null, found: Found): void {
    const key = keyOf(name, coding)
    const entry = this.fresh(key)
    if (entry !== null) {
      found(entry)
      return
    }
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) {
      waiting.push(found)
      return
    }
    this.#waiting.set(key, [found])
    const before = this.#entries.get(key)
    if (before?.ready && before.settled) this.#check(name, coding, before)
    else this.#load(name, coding, before)
  }

  /** The same file in the same place with the same facts is the same. */
  #check(name: string, coding: Coding | null, entry: FileEntry): void {
    const path = this.#pathOf(name, coding)
    realPathOf(path, (code, real) => {
      if (code !== '' || real !== entry.real) {
        this.#load(name, coding, entry)
        return
      }
      factsAt(real, (unreadable, facts) => {
        if (unreadable !== '' || !sameFacts(facts, entry.facts) || !entry.ready)
          this.#load(name, coding, entry)
        else if (!this.#wantsPacked(name, coding)) this.#renew(entry, entry.packed)
        else findPacked(path, facts, packed => this.#renew(entry, packed))
      })
    })
  }

  #renew(entry: FileEntry, packed: readonly Coding[]): void {
    if (packed.join() !== entry.packed.join() || entry.gone) {
      this.forget(entry)
      this.#load(nameOf(entry.key), codingOf(entry.key), undefined)
      return
    }
    this.#worker.refresh()
    entry.freshUntil = this.#worker.now + freshUs
    this.#tell(entry.key, entry)
  }

  #load(name: string, coding: Coding | null, before: FileEntry | undefined): void {
    const { clock } = this.#worker
    const request = {
      openFiles: this.#store.openFiles,
      root: this.#spec.root,
      rootReal: (anew: boolean, done: (real: string) => void) => this.#findRoot(anew, done),
      path: this.#pathOf(name, coding),
      wantsPacked: this.#wantsPacked(name, coding),
      wallMs: () => clock.wall() / 1000,
    }
    loadFile(request, outcome => this.#loaded(name, coding, before, outcome))
  }

  #findRoot(anew: boolean, done: (real: string) => void): void {
    const { now } = this.#worker
    if (!anew && this.#rootReal !== '' && now - this.#rootSeenAt < freshUs) {
      done(this.#rootReal)
      return
    }
    realPathOf(this.#spec.root, (code, real) => {
      this.#rootReal = code === '' ? real : ''
      this.#rootSeenAt = now
      done(this.#rootReal)
    })
  }

  #loaded(name: string, coding: Coding | null, before: FileEntry | undefined, outcome: LoadOutcome): void {
    this.#worker.refresh()
    const key = keyOf(name, coding)
    if (before !== undefined) this.forget(before)
    if (typeof outcome === 'string' || 'status' in outcome) {
      this.#tell(key, outcome)
      return
    }
    const entry = this.#entryOf(name, coding, outcome)
    const same = before !== undefined && sameFacts(before.facts, entry.facts)
    entry.uses = (same ? before.uses : 0) + (this.#waiting.get(key)?.length ?? 0)
    this.#entries.set(key, entry)
    entry.freshUntil = this.#worker.now + freshUs
    if (entry.uses < 2) entry.touched = false
    this.#store.keep(this, entry, entry.bytes)
    this.#tell(key, entry)
    // Asked for once: its bytes have gone out, only its facts stay, to tell a second time from a first.
    if (entry.uses < 2 && entry.plain.body !== null) this.#lighten(entry)
  }

  #lighten(entry: FileEntry): void {
    const { kept } = entry
    this.#store.drop(entry)
    keepBytes(entry.plain, null)
    if (kept) this.#store.keep(this, entry, entry.bytes)
  }

  #entryOf(name: string, coding: Coding | null, loaded: LoadedFile): FileEntry {
    const { facts, bytes, settled, packed, real } = loaded
    const type = typeOf(name)
    const made = coding === null && bytes !== null ? this.#makeable(type, bytes.length, packed) : []
    const offered = [...packed, ...made]
    const tag = bytes === null ? factsTag(facts, settled) : contentTag(bytes)
    const modifiedAt = Math.floor(facts.mtimeMs / 1000)
    const negotiable = coding !== null || offered.length > 0
    const plain = representationOf(
      tag,
      modifiedAt,
      facts.size,
      type,
      coding,
      negotiable,
      this.#cacheFor(name),
    )
    if (bytes === null) plain.opened = this.#store.openFiles.keep(loaded.descriptor)
    else keepBytes(plain, bytes)
    const entry = new FileEntry(keyOf(name, coding), real, facts, settled, plain, offered, packed)
    plain.opened?.release(this.#worker.now)
    return entry
  }

  #cacheFor(name: string): string {
    const { immutable, cacheControl } = this.#spec
    return immutable && hasContentHash(name) ? year : (cacheControl ?? '')
  }

  #makeable(type: string, size: number, packed: readonly Coding[]): Coding[] {
    const compress = this.#compress
    if (compress === null || size < compress.bytesMin || !isOfTypes(type, compress.types)) return []
    return compress.encodings.filter(one => !packed.includes(one) && (one !== 'zstd' || zstdSupported))
  }

  #wantsPacked(name: string, coding: Coding | null): boolean {
    return this.#spec.precompressed && coding === null && isPackable(typeOf(name))
  }

  #pathOf(name: string, coding: Coding | null): string {
    const { root } = this.#spec
    const ending = endings.find(([one]) => one === coding)?.[1] ?? ''
    return (root.endsWith('/') ? root.slice(0, -1) : root) + name + ending
  }

  /** Compressed here, from the bytes in memory; null when that is not worth it. Kept as long as the entry is. */
  make(entry: FileEntry, coding: Coding, found: (made: Representation | null) => void): void {
    const { body } = entry.plain
    if (body === null) {
      found(null)
      return
    }
    const key = `${entry.plain.tag}${keyOf(nameOf(entry.key), coding)}`
    const waiting = this.#making.get(key)
    if (waiting !== undefined) {
      waiting.push(found)
      return
    }
    this.#making.set(key, [found])
    packWhole(coding, this.#compress?.level ?? 'balanced', body, packed => {
      this.#worker.refresh()
      const made =
        packed !== null && packed.length < body.length * 0.97 ? this.#madeOf(entry, coding, packed) : null
      if (made === null) entry.offered = entry.offered.filter(one => one !== coding)
      else if (entry.kept && entry.plain.body !== null) {
        entry.made.set(coding, made)
        this.#store.keep(this, entry, made.size)
      }
      const told = this.#making.get(key) ?? []
      this.#making.delete(key)
      for (const one of told) one(made)
    })
  }

  /** Its tag is weak: another version of the compressor may write other bytes of the same meaning. */
  #madeOf(entry: FileEntry, coding: Coding, packed: Buffer): Representation {
    const { tag, modifiedAt, contentType } = entry.plain
    const weak = `W/"${tag.replace(/^W\//, '').slice(1, -1)}-${coding}"`
    const cache = this.#cacheFor(nameOf(entry.key))
    const made = representationOf(weak, modifiedAt, packed.length, contentType, coding, true, cache)
    keepBytes(made, packed)
    return made
  }

  #tell(key: string, outcome: FindOutcome): void {
    const waiting = this.#waiting.get(key) ?? []
    this.#waiting.delete(key)
    for (const found of waiting) found(outcome)
  }

  /** It has changed, gone, or must make room. Who sends it still does. */
  forget(entry: FileEntry): void {
    this.#store.drop(entry)
    entry.gone = true
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
  }
}

const separator = '\0'
const keyOf = (name: string, coding: Coding | null): string =>
  coding === null ? name : `${name}${separator}${coding}`
const nameOf = (key: string): string => key.split(separator)[0] as string
const codingOf = (key: string): Coding | null => (key.split(separator)[1] as Coding | undefined) ?? null
