// Whose signatures are believed: the agents of the file, each with its keys from a pinned file, or from its own directory
// (`/.well-known/http-message-signatures-directory`), fetched in the background and looked at again each hour. While a
// directory can't be fetched its last keys stay, for a day at most.

import type { KeyObject } from 'node:crypto'
import { httpsRequest } from '../../io/https-request.ts'
import { readText } from '../../io/text-file.ts'
import { Failure } from '../../kit/failure.ts'
import { botFailures } from './failures.ts'
import type { KeyBook } from './signature.ts'
import { readKeySet } from './signature-keys.ts'

export interface SignatureAgent {
  readonly agent: string
  readonly keysFile?: string
}

export type FetchText = (url: string) => Promise<string>

const directoryPath = '/.well-known/http-message-signatures-directory'
const againMs = 3_600_000
const retryMs = 60_000
const staleMs = 24 * 3_600_000
const bytesMax = 262_144
const timeoutMs = 10_000

interface Directory {
  readonly agent: string
  readonly url: string
  keys: ReadonlyMap<string, KeyObject>
  /** Monotonic, milliseconds; of the last good answer. */
  at: number
}

export class KeyDirectories implements KeyBook {
  readonly #fetch: FetchText
  readonly #nowMs: () => number
  readonly #tell: (subject: string, text: string) => void
  #pinned: { agent: string; keys: ReadonlyMap<string, KeyObject> }[] = []
  #fetched: Directory[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(
    nowMs: () => number,
    tell: (subject: string, text: string) => void,
    fetch: FetchText = fetchDirectory,
  ) {
    this.#nowMs = nowMs
    this.#tell = tell
    this.#fetch = fetch
  }

  /** Throws a Failure when a file of keys can't be used; the agents of before stay. */
  take(agents: readonly SignatureAgent[]): void {
    const pinned = agents.flatMap(({ agent, keysFile }) =>
      keysFile === undefined ? [] : [{ agent, keys: readKeysFile(keysFile) }],
    )
    const before = this.#fetched
    this.#pinned = pinned
    this.#fetched = agents
      .filter(({ keysFile }) => keysFile === undefined)
      .map(
        ({ agent }) =>
          before.find(one => one.agent === agent) ?? {
            agent,
            url: new URL(directoryPath, agent).href,
            keys: new Map(),
            at: Number.NEGATIVE_INFINITY,
          },
      )
    if (this.#fetched.length > 0) void this.#renew()
    else this.#stop()
  }

  find(keyId: string): { readonly agent: string; readonly key: KeyObject } | null {
    for (const { agent, keys } of this.#pinned) {
      const key = keys.get(keyId)
      if (key !== undefined) return { agent, key }
    }
    for (const { agent, keys, at } of this.#fetched) {
      const key = keys.get(keyId)
      if (key !== undefined && this.#nowMs() - at < staleMs) return { agent, key }
    }
    return null
  }

  async #renew(): Promise<void> {
    const directories = this.#fetched
    const due = directories.filter(one => this.#nowMs() - one.at >= againMs)
    await Promise.all(due.map(one => this.#renewOne(one)))
    if (this.#fetched !== directories) return
    this.#stop()
    const late = directories.some(one => this.#nowMs() - one.at >= againMs)
    this.#timer = setTimeout(() => void this.#renew(), late ? retryMs : againMs).unref()
  }

  async #renewOne(directory: Directory): Promise<void> {
    try {
      const keys = readKeySet(await this.#fetch(directory.url))
      if (keys === null) throw new Error('it has no Ed25519 key')
      directory.keys = keys
      directory.at = this.#nowMs()
    } catch (error) {
      this.#tell('guard', `the keys of ${directory.agent} can't be fetched: ${(error as Error).message}`)
    }
  }

  /** What is being fetched comes too late. */
  close(): void {
    this.#fetched = []
    this.#stop()
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

export function readKeysFile(file: string): ReadonlyMap<string, KeyObject> {
  let text: string
  try {
    text = readText(file)
  } catch (error) {
    throw new Failure(botFailures.keysFile, `${file}: ${(error as Error).message}`, { cause: error })
  }
  const keys = readKeySet(text)
  if (keys === null) throw new Failure(botFailures.keysFile, `${file}: it has no Ed25519 key`)
  return keys
}

async function fetchDirectory(url: string): Promise<string> {
  const answer = await httpsRequest({
    url,
    method: 'GET',
    headers: { accept: 'application/http-message-signatures-directory+json, application/json' },
    body: '',
    ca: null,
    timeoutMs,
    bytesMax,
  })
  if (answer.status !== 200) throw new Error(`status ${answer.status}`)
  return answer.text
}
