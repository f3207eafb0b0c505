// The files of API keys that a system file names, changed by command: one command at a time, each file replaced in one
// step and for its owner alone. A key itself is in none of them, and is given once, to whoever made it.

import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { keyLine, newKey, parseKeys, type StoredKey } from '../guard/identity/index.ts'
import { readWhole } from '../guard/identity/watched-file.ts'
import { type Owner, ownerOf, realPath, textOf, writeOwned } from '../io/owned-files.ts'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'
import { loadSystemFile } from './load.ts'

export interface SystemPlace {
  readonly file: string
  readonly environment?: string | undefined
}

/** Never with its hash. */
export interface KeyView extends Omit<StoredKey, 'hash'> {
  /** Of `guard.identity.keys`. */
  readonly name: string
}

export interface KeysView {
  readonly name: string
  readonly file: string
  readonly keys: readonly KeyView[]
}

export type KeyWish = Pick<StoredKey, 'holder' | 'scopes' | 'expires'>

const waitsMax = 100
const waitMs = 100

/** Throws SYSTEM_KEYS_UNKNOWN, IDENTITY_FILE_MALFORMED, SYSTEM_BUSY. */
export async function addKeyTo(
  place: SystemPlace,
  name: string,
  wish: KeyWish,
): Promise<{ readonly key: string; readonly stored: KeyView; readonly file: string }> {
  const [{ file }] = (await keyFilesOf(place, name)) as [KeyFile]
  const { key, stored } = newKey(wish, Date.now())
  await changed(file, async text => {
    const whole = text === '' || text.endsWith('\n') ? text : `${text}\n`
    return whole + keyLine(stored)
  })
  return { key, stored: viewOf(name, stored), file }
}

/** @param name absent: all of them. */
export async function keysIn(place: SystemPlace, name?: string): Promise<readonly KeysView[]> {
  const views = (await keyFilesOf(place, name)).map(async one => {
    const keys = textOf(one.file) === null ? [] : [...(await readWhole(one.file, parseKeys)).values()]
    return { ...one, keys: keys.map(key => viewOf(one.name, key)) }
  })
  return Promise.all(views)
}

/** Throws SYSTEM_KEYS_UNKNOWN. */
export async function revokeKeyOf(place: SystemPlace, id: string): Promise<KeyView> {
  for (const { name, file, keys } of await keysIn(place)) {
    const found = keys.find(key => key.id === id)
    if (found === undefined) continue
    await changed(file, async text =>
      text
        .split(/(?<=\n)/)
        .filter(line => idOf(line) !== id)
        .join(''),
    )
    return { ...found, name }
  }
  throw new Failure(systemFailures.keysUnknown, `No API key has the id '${id}'.`)
}

const idOf = (line: string): string | null => (line.trim() === '' ? null : (JSON.parse(line) as StoredKey).id)

function viewOf(name: string, { hash: _, ...rest }: StoredKey): KeyView {
  return { name, ...rest }
}

interface KeyFile {
  readonly name: string
  readonly file: string
}

async function keyFilesOf({ file, environment }: SystemPlace, name?: string): Promise<readonly KeyFile[]> {
  const { system, directory } = await loadSystemFile(file, { environment: environment ?? null })
  const all = Object.entries(system.guard?.identity.keys ?? {})
  if (all.length === 0)
    throw new Failure(systemFailures.keysUnknown, 'The file names no API keys: guard.identity.keys.')
  const found = all.filter(([one]) => name === undefined || one === name)
  if (found.length > 0)
    return found.map(([one, keys]) => ({ name: one, file: realPath(resolve(directory, keys.file)) }))
  const names = all.map(([one]) => `'${one}'`).join(', ')
  throw new Failure(systemFailures.keysUnknown, `There is no '${name}' in guard.identity.keys, but ${names}.`)
}

/** Read, changed and written while nobody else does it. A file with a wrong line is not touched. */
async function changed(file: string, change: (text: string) => Promise<string>): Promise<void> {
  const release = await taken(`${file}.lock`)
  try {
    const before = textOf(file)
    if (before !== null) await readWhole(file, parseKeys)
    writeOwned(file, await change(before ?? ''), 0o600, ownerFor(file))
  } finally {
    release()
  }
}

/** What root makes belongs to whom the file belonged to, or its folder: the edge has to read it. */
function ownerFor(file: string): Owner | null {
  return process.getuid?.() === 0 ? (ownerOf(file) ?? ownerOf(dirname(file))) : null
}

async function taken(lock: string): Promise<() => void> {
  const ours = `${lock}.${randomUUID()}`
  writeFileSync(ours, `${process.pid}\n`, { mode: 0o600, flag: 'wx' })
  try {
    for (let waits = 0; waits < waitsMax; waits++) {
      if (linked(ours, lock)) return () => rmSync(lock, { force: true })
      const holder = textOf(lock)
      if (holder !== null && !lives(holder)) removeDead(lock, `${ours}.dead`, holder)
      else await sleep(waitMs)
    }
  } finally {
    rmSync(ours, { force: true })
  }
  throw new Failure(systemFailures.busy, `Another command changes the keys: it holds ${lock}.`)
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw cause
  }
}

/** Of a command that was killed. What another one took meanwhile is put back. */
function removeDead(lock: string, aside: string, holder: string): void {
  try {
    renameSync(lock, aside)
  } catch {
    return
  }
  if (readFileSync(aside, 'utf8') !== holder) linked(aside, lock)
  rmSync(aside, { force: true })
}

function lives(pid: string): boolean {
  try {
    process.kill(Number(pid), 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}
