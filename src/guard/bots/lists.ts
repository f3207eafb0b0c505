// What the file says of bots, read and ready: crawlers, data centres, honeypots. Read anew with each snapshot, parsed only
// where something changed.

import { readText } from '../../io/text-file.ts'
import type { GuardSpec } from '../part.ts'
import type { BlockMap } from '../rulings/blocks.ts'
import { type CrawlerBook, readCrawlerBook } from './crawler-book.ts'
import { readDataCentres } from './data-centres.ts'
import { readKeysFile } from './key-directories.ts'

export interface BotLists {
  /** Of what they were read: the same text means the same lists. */
  readonly source: string
  readonly book: CrawlerBook
  readonly dataCentres: BlockMap<true>
  readonly dataCentreAsns: ReadonlySet<string>
  readonly honeypots: ReadonlySet<string>
}

/** Throws a Failure that names the file. `before` is given back when nothing changed. */
export function readLists(spec: GuardSpec, before: BotLists | null): BotLists {
  const { bots } = spec
  const source = JSON.stringify([bots, [...bots.crawlerFiles, ...bots.dataCentreFiles].map(textOf)])
  if (before?.source === source) return before
  return {
    source,
    book: readCrawlerBook(bots.crawlerFiles),
    dataCentres: readDataCentres(bots.dataCentreFiles),
    dataCentreAsns: new Set(bots.dataCentreAsns.map(String)),
    honeypots: new Set(bots.honeypots),
  }
}

/** What workers will read: a file that can't be used is refused before they hear of it. */
export function checkLists(spec: GuardSpec): void {
  readLists(spec, null)
  for (const { keysFile } of spec.bots.signatureAgents) if (keysFile !== undefined) readKeysFile(keysFile)
}

/** A file that can't be read is told of by whoever parses it. */
function textOf(file: string): string {
  try {
    return readText(file)
  } catch {
    return ''
  }
}
