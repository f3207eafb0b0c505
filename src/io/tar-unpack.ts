// A tar archive (POSIX ustar, and GNU's sizes beyond 8 GB) unpacked while it arrives: bytes in, files on disk out. Knows
// files, folders and links inside the archive; refuses names that lead outside. Writes synchronously: use it in a thread.

import { closeSync, fchownSync, lchownSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import type { Owner } from './owned-files.ts'

const blockBytes = 512
const folderMode = 0o700
const fileMode = 0o600

export interface TarUnpackOptions {
  /** Exists, is empty, and nobody else may write into it meanwhile. */
  readonly directory: string
  /** Of everything that is made; null: ours. */
  readonly owner: Owner | null
}

export class TarUnpacker {
  readonly #options: TarUnpackOptions
  #header: Buffer = Buffer.alloc(0)
  /** The open file; -1 between files. */
  #file = -1
  /** Of the current member: bytes of content, then of padding, that are still to come. */
  #content = 0
  #padding = 0
  readonly #folders = new Set<string>()
  files = 0

  constructor(options: TarUnpackOptions) {
    this.#options = options
  }

  push(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#content > 0) at += this.#takeContent(bytes.subarray(at))
      else if (this.#padding > 0) at += this.#takePadding(bytes.length - at)
      else at += this.#takeHeader(bytes.subarray(at))
    }
  }

  /** The archive has ended. Throws when it ended in the middle of a member. */
  end(): void {
    const left = this.#content
    this.close()
    if (left > 0) throw new Error(`the archive ends ${left} bytes before the end of a file`)
  }

  /** Closes what is open; for archives that are given up. */
  close(): void {
    if (this.#file >= 0) closeSync(this.#file)
    this.#file = -1
    this.#content = 0
  }

  #takeContent(bytes: Buffer): number {
    const count = Math.min(bytes.length, this.#content)
    if (this.#file >= 0) writeAll(this.#file, bytes.subarray(0, count))
    this.#content -= count
    if (this.#content === 0 && this.#file >= 0) {
      closeSync(this.#file)
      this.#file = -1
    }
    return count
  }

  #takePadding(there: number): number {
    const count = Math.min(there, this.#padding)
    this.#padding -= count
    return count
  }

  #takeHeader(bytes: Buffer): number {
    const count = Math.min(bytes.length, blockBytes - this.#header.length)
    this.#header = Buffer.concat([this.#header, bytes.subarray(0, count)])
    if (this.#header.length === blockBytes) {
      const header = this.#header
      this.#header = Buffer.alloc(0)
      // Blocks of zeros end an archive.
      if (header.some(byte => byte !== 0)) this.#begin(header)
    }
    return count
  }

  #begin(header: Buffer): void {
    const size = sizeIn(header)
    const path = this.#pathOf(nameIn(header))
    const kind = String.fromCharCode(header[156] as number)
    if (kind === '5') this.#folder(path)
    else if (kind === '2') this.#link(path, textIn(header, 157, 100))
    else if (kind === '0' || kind === '\0') this.#open(path)
    else throw new Error(`the archive holds a member of kind '${kind}', which is not known`)
    this.#content = size
    this.#padding = (blockBytes - (size % blockBytes)) % blockBytes
    if (size === 0 && this.#file >= 0) {
      closeSync(this.#file)
      this.#file = -1
    }
  }

  #pathOf(name: string): string {
    const clean = normalize(name)
    if (name === '' || clean.startsWith('/') || clean === '..' || clean.startsWith('../'))
      throw new Error(`the archive names '${name}', which is outside its folder`)
    return join(this.#options.directory, clean)
  }

  #folder(path: string): void {
    const plain = path.replace(/\/+$/, '')
    if (this.#folders.has(plain) || plain === normalize(this.#options.directory)) return
    this.#folder(dirname(plain))
    mkdirSync(plain, { mode: folderMode })
    this.#own(plain)
    this.#folders.add(plain)
  }

  #open(path: string): void {
    this.#folder(dirname(path))
    this.#file = openSync(path, 'wx', fileMode)
    const { owner } = this.#options
    if (owner !== null) fchownSync(this.#file, owner.uid, owner.gid)
    this.files++
  }

  #link(path: string, target: string): void {
    this.#folder(dirname(path))
    symlinkSync(target, path)
    this.#own(path)
  }

  #own(path: string): void {
    const { owner } = this.#options
    if (owner !== null) lchownSync(path, owner.uid, owner.gid)
  }
}

/** A disk that gets full takes a part and says so only at the next call. */
function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}

function textIn(header: Buffer, from: number, length: number): string {
  const field = header.subarray(from, from + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? length : end)
}

function nameIn(header: Buffer): string {
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? textIn(header, 345, 155) : ''
  const name = textIn(header, 0, 100)
  return prefix === '' ? name : `${prefix}/${name}`
}

/** Octal text, or a big-endian number when the first bit is set. */
function sizeIn(header: Buffer): number {
  const field = header.subarray(124, 136)
  if (((field[0] as number) & 0x80) === 0) return Number.parseInt(textIn(header, 124, 12).trim() || '0', 8)
  const size = Number(field.readBigUInt64BE(4))
  if (!Number.isSafeInteger(size)) throw new Error('the archive holds a file of an impossible size')
  return size
}
