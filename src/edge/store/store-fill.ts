// One answer on its way into the store: leads its key, takes memory piece by piece, and is seen whole or not at all. What
// it writes may be read along; what is cut short is gone for everybody.
//
// States: led -> begun -> over. `over` is reached once, by commit, abort, alone, or a refusal.

import { assert } from '../../kit/failure.ts'
import type { Bells } from './bells.ts'
import type { Fill, StoredMeta } from './contract.ts'
import { bodyWord, type Entries } from './entries.ts'
import { blockBytes, bodyRunHeadBytes, entryState, headBytes, inlineBytesMax } from './layout.ts'
import { type Lead, type LeadEnd, type Leads, leadEnd } from './leads.ts'
import { writeHead, writeMeta } from './stored-entry.ts'

const wordsOfBlock = blockBytes / 4
/** Body runs grow from the first to the second; smaller ones are taken where memory is in pieces. */
const runBytesFirst = 16_384
const runBytesMax = 1_048_576
const runBlocksLeast = 64
/** Nobody waits for an answer like the one that was just too large. */
const tooLargeAloneUs = 10_000_000
/** The end of a fill waits longer for the lock than a request does. */
const endWaitMs = 1_000

export interface FillOwner {
  readonly entries: Entries
  readonly leads: Leads
  readonly bells: Bells
  readonly life: number
  readonly nowUs: number
}

export class StoreFill implements Fill {
  readonly key: string
  readonly #hash: number
  readonly #owner: FillOwner
  readonly #lead: Lead
  /** Purges begun when the origin was asked. */
  readonly #serial: number
  /** Purges ended by then. */
  readonly #checked: number
  readonly #generation: number
  #slot = 0
  #declared = -1
  #got = 0
  /** Where the next byte goes, and how many fit there. */
  #at = 0
  #room = 0
  /** Last run of the chain; 0: none. */
  #run = 0
  #over = false

  /** `asOf`: the origin was asked when that fill was led, or when so many purges had begun (read from the disk). */
  constructor(owner: FillOwner, key: string, hash: number, lead: Lead, asOf: Fill | number | null) {
    const { entries } = owner
    const older = asOf instanceof StoreFill ? asOf : null
    this.#owner = owner
    this.key = key
    this.#hash = hash
    this.#lead = lead
    this.#checked = older !== null ? older.#checked : typeof asOf === 'number' ? -1 : entries.clocks.ended
    this.#serial = older !== null ? older.#serial : typeof asOf === 'number' ? asOf : entries.clocks.begun
    this.#generation = older !== null ? older.#generation : Atomics.load(entries.views.common.generation, 0)
  }

  begin(meta: StoredMeta, fields: string, tags: readonly string[], bodyBytes: number): boolean {
    const { clocks } = this.#owner.entries
    return this.beginWith(
      meta,
      fields,
      tags.map(tag => clocks.tagHash(tag)),
      bodyBytes,
    )
  }

  /** With the hashes of its tags. */
  beginWith(meta: StoredMeta, fields: string, hashes: readonly number[], bodyBytes: number): boolean {
    assert(this.#slot === 0 && !this.#over, 'store: a fill begins once')
    const { entries, leads, bells } = this.#owner
    const { views } = entries
    if (bodyBytes > views.spec.objectBytesMax) return this.#refuse(true)
    const alone = headBytes + hashes.length * 4 + this.key.length + fields.length
    if (alone > inlineBytesMax) return this.#refuse(true)
    const inline = bodyBytes >= 0 && alone + bodyBytes <= inlineBytesMax
    this.#declared = bodyBytes
    let made = false
    entries.lockedNow(() => {
      if (this.#isDropped) return
      const slot = entries.make(inline ? alone + bodyBytes : alone)
      if (slot === 0) return
      this.#slot = slot
      this.#write(meta, fields, hashes, inline)
      entries.pin(slot)
      made = entries.link(slot, this.#hash)
      if (!made) entries.drop(slot)
    })
    if (!made) return this.#refuse(false)
    leads.tellBegun(this.#lead)
    bells.ring()
    return true
  }

  /** Everything of the entry but its links, before anybody can see it. */
  #write(meta: StoredMeta, fields: string, tags: readonly number[], inline: boolean): void {
    const { entries, life } = this.#owner
    const { entry, uses, kept } = entries.views
    const slot = this.#slot
    const head = entry.head[slot] as number
    writeMeta(entries, head, meta)
    const end = writeHead(entries, head, this.key, fields, tags)
    entry.body[slot] = inline ? head : 0
    entry.bodyAt[slot] = inline ? end : bodyRunHeadBytes
    entry.bodyBytes[slot] = this.#declared
    Atomics.store(entry.gotBytes, slot, 0)
    Atomics.store(entry.whole, slot, 0)
    entry.owner[slot] = life
    entry.serial[slot] = this.#serial
    Atomics.store(entry.checked, slot, this.#checked)
    uses[slot] = 0
    kept[slot] = 0
    Atomics.add(entry.seq, slot, 1)
    Atomics.store(entry.state, slot, entryState.filling)
    if (inline) {
      this.#at = head * blockBytes + end
      this.#room = this.#declared
    }
  }

  write(bytes: Buffer, from: number, to: number): boolean {
    if (!this.#fits(to - from)) return false
    for (let at = from; at < to; ) {
      if (this.#room === 0 && !this.#extend(to - at)) return this.#refuse(false)
      const part = Math.min(this.#room, to - at)
      bytes.copy(this.#owner.entries.views.bytes, this.#at, at, at + part)
      this.#advance(part)
      at += part
    }
    this.#publish()
    return true
  }

  writeText(text: string): boolean {
    if (!this.#fits(text.length)) return false
    for (let at = 0; at < text.length; ) {
      if (this.#room === 0 && !this.#extend(text.length - at)) return this.#refuse(false)
      const part = Math.min(this.#room, text.length - at)
      const piece = part === text.length ? text : text.slice(at, at + part)
      this.#owner.entries.views.bytes.write(piece, this.#at, 'latin1')
      this.#advance(part)
      at += part
    }
    this.#publish()
    return true
  }

  #fits(bytes: number): boolean {
    if (this.#over) return false
    assert(this.#slot !== 0, 'store: a fill is written to after it began')
    const { views } = this.#owner.entries
    const all = this.#got + bytes
    if (all > views.spec.objectBytesMax || (this.#declared >= 0 && all > this.#declared))
      return this.#refuse(true)
    return !this.#isDropped || this.#refuse(false)
  }

  #advance(bytes: number): void {
    this.#at += bytes
    this.#room -= bytes
    this.#got += bytes
  }

  #publish(): void {
    const { entries, bells } = this.#owner
    Atomics.store(entries.views.entry.gotBytes, this.#slot, this.#got)
    bells.ring()
  }

  /** Everything was dropped since it was led, or it alone was. */
  get #isDropped(): boolean {
    const { common, entry } = this.#owner.entries.views
    if (Atomics.load(common.generation, 0) !== this.#generation) return true
    return this.#slot !== 0 && Atomics.load(entry.state, this.#slot) !== entryState.filling
  }

  /** The next run of the chain. `coming`: bytes at hand. */
  #extend(coming: number): boolean {
    const { entries } = this.#owner
    const rest = this.#declared >= 0 ? this.#declared - this.#got : Math.max(coming, this.#got, runBytesFirst)
    const blocks = Math.ceil((Math.min(rest, runBytesMax) + bodyRunHeadBytes) / blockBytes)
    let run = 0
    entries.lockedNow(() => {
      if (this.#isDropped) return
      run = entries.takeRun(blocks, Math.min(blocks, runBlocksLeast))
      if (run !== 0) this.#chain(run)
    })
    return run !== 0
  }

  #chain(run: number): void {
    const { entries } = this.#owner
    const { words, entry } = entries.views
    const size = entries.runs.sizeOf(run)
    this.#at = run * blockBytes + bodyRunHeadBytes
    this.#room = size * blockBytes - bodyRunHeadBytes
    words[run * wordsOfBlock + bodyWord.next] = 0
    words[run * wordsOfBlock + bodyWord.bytes] = this.#room
    words[run * wordsOfBlock + bodyWord.blocks] = size
    if (this.#run === 0) entry.body[this.#slot] = run
    else words[this.#run * wordsOfBlock + bodyWord.next] = run
    this.#run = run
    entry.blocks[this.#slot]! += size
  }

  commit(): void {
    if (this.#over) return
    assert(this.#slot !== 0, 'store: a fill is committed after it began')
    if (this.#declared >= 0 && this.#got !== this.#declared) {
      this.abort()
      return
    }
    let stored = false
    this.#owner.entries.lockedNow(() => {
      if (!this.#isDropped) stored = this.#settle()
    }, endWaitMs)
    this.#end(stored ? leadEnd.stored : leadEnd.failed)
  }

  /** Under the lock. */
  #settle(): boolean {
    const { entries } = this.#owner
    const { entry } = entries.views
    const slot = this.#slot
    if (entries.clocks.ended !== this.#checked && entries.isPurged(slot, this.key, false)) return false
    if (this.#run !== 0) this.#trim()
    entry.bodyBytes[slot] = this.#got
    Atomics.store(entry.whole, slot, 1)
    entries.settle(slot, this.key)
    return true
  }

  #trim(): void {
    const { entries } = this.#owner
    const { words, entry } = entries.views
    const keep = Math.ceil((this.#at - this.#run * blockBytes) / blockBytes)
    const spare = entries.runs.sizeOf(this.#run) - keep
    if (spare <= 0) return
    words[this.#run * wordsOfBlock + bodyWord.blocks] = keep
    words[this.#run * wordsOfBlock + bodyWord.bytes] = keep * blockBytes - bodyRunHeadBytes
    entries.runs.trim(this.#run, keep)
    entry.blocks[this.#slot]! -= spare
  }

  abort(): void {
    if (!this.#over) this.#end(leadEnd.failed)
  }

  validated(): void {
    if (!this.#over) this.#end(leadEnd.stored)
  }

  alone(forUs: number): void {
    if (this.#over) return
    const { leads, nowUs } = this.#owner
    if (forUs > 0) leads.setAlone(this.key, this.#hash, nowUs + forUs)
    this.#end(leadEnd.alone)
  }

  #refuse(tooLarge: boolean): false {
    if (this.#over) return false
    const { entries, leads, nowUs } = this.#owner
    Atomics.add(entries.views.common.refused, 0, 1)
    if (tooLarge) leads.setAlone(this.key, this.#hash, nowUs + tooLargeAloneUs)
    this.#end(leadEnd.alone)
    return false
  }

  /** Once. What is not stored by now never is. */
  #end(how: LeadEnd): void {
    const { entries, leads, bells } = this.#owner
    const { entry } = entries.views
    const slot = this.#slot
    this.#over = true
    if (slot !== 0) {
      // Later it may be another's.
      const seq = Atomics.load(entry.seq, slot)
      if (Atomics.load(entry.state, slot) === entryState.filling)
        entries.locked(() => {
          if (entry.seq[slot] === seq && entry.state[slot] === entryState.filling) entries.drop(slot)
        }, endWaitMs)
      entries.unpin(slot)
    }
    leads.end(this.#lead, how)
    bells.ring()
  }
}
