// Addresses to names, asked of DNS directly, and back: whose machine an address is, as its owner says and as the owner of
// the name confirms. One question, one answer; nothing is kept.

import { Resolver } from 'node:dns'
import { addressBytes, addressText, isMapped } from '../kit/address.ts'

export interface ReverseNames {
  /**
   * Names of the address (PTR) that have this address themselves (A, AAAA), in lower case. Empty: there are decidedly none.
   * Rejects with a sentence when no server gave an answer.
   */
  confirmed(address: string): Promise<readonly string[]>
  /** Ends questions in flight; they reject. */
  close(): void
}

export interface ReverseNamesOptions {
  /** `10.0.0.2`, `10.0.0.2:53`; absent: those of the machine. */
  readonly servers?: readonly string[]
  /** For one server, one try; there are two tries. */
  readonly timeoutMs?: number
}

/** Whoever owns an address may give it any number of names. */
const namesMax = 8
const noSuchRecord = new Set(['ENODATA', 'ENOTFOUND'])

export function createReverseNames(options: ReverseNamesOptions = {}): ReverseNames {
  const resolver = new Resolver({ timeout: options.timeoutMs ?? 2000, tries: 2 })
  if (options.servers) resolver.setServers([...options.servers])
  return {
    confirmed: address => confirmed(resolver, address),
    close: () => resolver.cancel(),
  }
}

async function confirmed(resolver: Resolver, address: string): Promise<readonly string[]> {
  // `resolver.reverse` reads the hosts file too, and takes a server that is silent for one that knows no name.
  const names = (await ask(done => resolver.resolvePtr(reverseName(address), done), address)).slice(
    0,
    namesMax,
  )
  const checked = await Promise.all(
    names.map(async name => {
      const back = await ask(
        done => (address.includes(':') ? resolver.resolve6(name, done) : resolver.resolve4(name, done)),
        name,
      )
      return back.some(one => canonical(one) === canonical(address)) ? [name.toLowerCase()] : []
    }),
  )
  return checked.flat()
}

/** RFC 1035 3.5, RFC 3596 2.5; the address itself where it is none: no such name. */
function reverseName(address: string): string {
  const bytes = addressBytes(address)
  if (bytes === null) return address
  if (isMapped(bytes)) return `${[...bytes.subarray(12)].reverse().join('.')}.in-addr.arpa`
  const digits = Buffer.from(bytes).toString('hex').split('').reverse()
  return `${digits.join('.')}.ip6.arpa`
}

function canonical(address: string): string {
  const bytes = addressBytes(address)
  return bytes === null ? address : addressText(bytes)
}

type Done = (error: NodeJS.ErrnoException | null, found: string[]) => void

function ask(question: (done: Done) => void, about: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    question((error, found) => {
      if (error === null) resolve(found)
      else if (noSuchRecord.has(error.code ?? '')) resolve([])
      else
        reject(new Error(`${about}: DNS gave no answer (${error.code ?? error.message})`, { cause: error }))
    })
  })
}
