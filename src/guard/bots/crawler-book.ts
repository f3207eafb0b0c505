// Which crawlers there are: those that Tenfold knows, and those of the operator's files, which also bring address ranges.
// Reads files as they are published: `{ name, agents, ranges, hosts, purpose }`, and `{ prefixes: [{ ipv4Prefix }] }`.

import { readText } from '../../io/text-file.ts'
import { Failure } from '../../kit/failure.ts'
import { parseBlock } from '../../policy/address.ts'
import { type Crawler, type CrawlerPurpose, knownCrawlers } from '../../policy/risk/index.ts'
import { BlockMap } from '../rulings/blocks.ts'
import { botFailures } from './failures.ts'

/** Blocks of one file, and files of one part. */
const entriesMax = 100_000
const purposes: readonly string[] = ['crawler', 'search', 'training', 'user']

export interface CrawlerBook {
  /** Files first: they may name a crawler more closely than we do. */
  readonly crawlers: readonly Crawler[]
  /** Address blocks by the name of their crawler. */
  readonly ranges: BlockMap<string>
  /** Names of crawlers that have ranges: outside of them it is another. */
  readonly ranged: ReadonlySet<string>
}

export function readCrawlerBook(files: readonly string[]): CrawlerBook {
  const entries: [string, string][] = []
  const crawlers: Crawler[] = []
  for (const file of files) {
    const { crawler, ranges } = readCrawlerFile(file)
    crawlers.push(crawler)
    for (const range of ranges) entries.push([range, crawler.name])
  }
  return {
    crawlers: [...crawlers, ...knownCrawlers.filter(one => !crawlers.some(own => own.name === one.name))],
    ranges: new BlockMap(entries),
    ranged: new Set(entries.map(([, name]) => name)),
  }
}

/** What a file may have; anything may be anything. */
interface Given {
  readonly name?: unknown
  readonly agents?: unknown
  readonly ranges?: unknown
  readonly hosts?: unknown
  readonly purpose?: unknown
  readonly prefixes?: unknown
}

function readCrawlerFile(file: string): { crawler: Crawler; ranges: readonly string[] } {
  const given = parsed(file)
  const name = typeof given.name === 'string' && given.name !== '' ? given.name : null
  if (name === null) throw unreadable(file, "it has no 'name'")
  const known = knownCrawlers.find(one => one.name === name)
  const purpose = given.purpose ?? known?.purpose ?? 'crawler'
  if (typeof purpose !== 'string' || !purposes.includes(purpose))
    throw unreadable(file, `'purpose' is one of ${purposes.join(', ')}`)
  const agents = texts(file, given.agents, 'agents').map(agent => agent.toLowerCase())
  const hosts = texts(file, given.hosts, 'hosts').map(host => suffixOf(host))
  const crawler = {
    name,
    purpose: purpose as CrawlerPurpose,
    agents: agents.length > 0 ? agents : (known?.agents ?? [name.toLowerCase()]),
    hosts: hosts.length > 0 ? hosts : (known?.hosts ?? []),
  }
  return { crawler, ranges: rangesOf(file, given) }
}

function parsed(file: string): Given {
  let value: unknown
  try {
    value = JSON.parse(readText(file))
  } catch (error) {
    throw unreadable(file, (error as Error).message)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unreadable(file, 'it is no object')
  return value as Given
}

function texts(file: string, value: unknown, key: string): readonly string[] {
  if (value === undefined) return []
  const sound = Array.isArray(value) && value.length <= entriesMax
  if (!sound || !value.every(one => typeof one === 'string' && one !== ''))
    throw unreadable(file, `'${key}' is a list of texts`)
  return value
}

/** `example.com` and `.example.com` both mean every name below. */
function suffixOf(host: string): string {
  const lower = host.toLowerCase()
  return lower.startsWith('.') ? lower : `.${lower}`
}

function rangesOf(file: string, given: Given): readonly string[] {
  const prefixes = given.prefixes ?? []
  if (!Array.isArray(prefixes) || prefixes.length > entriesMax) throw unreadable(file, "'prefixes' is a list")
  const listed = prefixes.flatMap(one => Object.values((one ?? {}) as Record<string, string>))
  const ranges = [...texts(file, given.ranges, 'ranges'), ...listed]
  const wrong = ranges.find(range => typeof range !== 'string' || parseBlock(range) === null)
  if (wrong !== undefined) throw unreadable(file, `'${wrong}' is no CIDR block`)
  return ranges
}

function unreadable(file: string, why: string): Error {
  return new Failure(botFailures.crawlerFile, `${file}: ${why}`)
}
