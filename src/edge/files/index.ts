// The action `files`: a route that serves a directory. From the request's path to a file, its folder's index, a redirect
// to the slash, the fallback, or 404. Never leaves the root (file-path.ts, file-load.ts); nothing but GET and HEAD.

import { fieldId } from '../../wire/fields.ts'
import type { CompiledAction } from '../action.ts'
import type { Exchange } from '../exchange.ts'
import { clientFailures } from '../failures.ts'
import type { RouteSpec } from '../snapshot.ts'
import { answerFile } from './file-answer.ts'
import { codingFor, FileEntry } from './file-entry.ts'
import { filePathOf } from './file-path.ts'
import type { FileShelf, FileStore, FilesSpec, FindOutcome } from './file-shelf.ts'
import { endingOf } from './file-types.ts'

export { FileStore } from './file-shelf.ts'

export function filesAction(
  store: FileStore,
  route: RouteSpec,
  spec: FilesSpec,
  added: string,
): CompiledAction {
  return new FilesAction(store.shelfFor(spec, route.compress), spec, added)
}

class FilesAction implements CompiledAction {
  readonly #shelf: FileShelf
  readonly #spec: FilesSpec
  readonly #added: string
  readonly #prefix: string
  readonly #fallback: string | null

  constructor(shelf: FileShelf, spec: FilesSpec, added: string) {
    this.#shelf = shelf
    this.#spec = spec
    this.#added = added
    this.#prefix = spec.prefix.endsWith('/') ? spec.prefix.slice(0, -1) : spec.prefix
    const { fallback } = spec
    this.#fallback =
      fallback === undefined ? null : filePathOf(fallback.startsWith('/') ? fallback : `/${fallback}`, true)
  }

  run(exchange: Exchange): void {
    const { method } = exchange.head
    if (method !== 'GET' && method !== 'HEAD') {
      exchange.refuse(clientFailures.methodNotAllowed, 'Allow: GET, HEAD\r\n')
      return
    }
    const { path } = exchange
    const rest = path.startsWith(this.#prefix) ? path.slice(this.#prefix.length) : null
    const name = rest === null ? null : filePathOf(rest, this.#spec.dotFiles)
    if (name === null) exchange.refuse(clientFailures.noFile)
    else if (name === '') this.#toSlash(exchange)
    else if (name.endsWith('/')) this.#index(exchange, name, 0)
    else this.#file(exchange, name)
  }

  #file(exchange: Exchange, name: string): void {
    const entry = this.#shelf.fresh(name)
    if (entry !== null) {
      this.#answer(exchange, name, entry)
      return
    }
    this.#find(exchange, name, outcome => {
      if (outcome === 'directory') this.#toSlash(exchange)
      else if (outcome === 'missing') this.#nothing(exchange, name)
      else this.#told(exchange, name, outcome)
    })
  }

  /** RFC 9110 15.4.9: the method stays. A path has one slash at its start, so that no other host can be named by it. */
  #toSlash(exchange: Exchange): void {
    const query = exchange.target.slice(exchange.path.length)
    const fields = `Location: ${exchange.path}/${query}\r\nContent-Length: 0\r\n${this.#added}${exchange.extraFields}`
    exchange.respond(308, fields, '')
  }

  #index(exchange: Exchange, folder: string, at: number): void {
    const file = this.#spec.index[at]
    if (file === undefined) {
      this.#nothing(exchange, folder.slice(0, -1))
      return
    }
    const name = folder + file
    const entry = this.#shelf.fresh(name)
    if (entry !== null) {
      this.#answer(exchange, name, entry)
      return
    }
    this.#find(exchange, name, outcome => {
      if (outcome === 'missing' || outcome === 'directory') this.#index(exchange, folder, at + 1)
      else this.#told(exchange, name, outcome)
    })
  }

  /** A path without an ending is an address inside of a single-page application; one with it is a file that is not there. */
  #nothing(exchange: Exchange, name: string): void {
    const fallback = this.#fallback
    if (fallback === null || endingOf(name) !== '') {
      exchange.refuse(clientFailures.noFile)
      return
    }
    const entry = this.#shelf.fresh(fallback)
    if (entry !== null) {
      this.#answer(exchange, fallback, entry)
      return
    }
    this.#find(exchange, fallback, outcome => {
      if (typeof outcome === 'string') exchange.refuse(clientFailures.noFile)
      else this.#told(exchange, fallback, outcome)
    })
  }

  /** Goes on only if the same request still waits. */
  #find(exchange: Exchange, name: string, next: (outcome: FindOutcome) => void): void {
    const { serial } = exchange
    this.#shelf.find(name, null, outcome => {
      if (exchange.serial === serial) next(outcome)
    })
  }

  #told(exchange: Exchange, name: string, outcome: FindOutcome): void {
    if (outcome instanceof FileEntry) this.#answer(exchange, name, outcome)
    else if (typeof outcome !== 'string') exchange.refuse(outcome, 'Retry-After: 1\r\n')
  }

  #answer(exchange: Exchange, name: string, entry: FileEntry): void {
    if (entry.offered.length === 0) {
      answerFile(exchange, entry, entry.plain, this.#added)
      return
    }
    const { head } = exchange
    const coding = codingFor(entry, head.find('accept-encoding'))
    if (coding === null) exchange.refuse(clientFailures.notAcceptable, 'Vary: Accept-Encoding\r\n')
    else if (coding === 'identity') answerFile(exchange, entry, entry.plain, this.#added)
    else if (entry.packed.includes(coding)) this.#answerPacked(exchange, name, entry, coding)
    // Ranges of what another worker might pack otherwise would not fit together.
    else if (head.firstOf(fieldId.range) >= 0) answerFile(exchange, entry, entry.plain, this.#added)
    else this.#answerMade(exchange, entry, coding)
  }

  #answerPacked(exchange: Exchange, name: string, entry: FileEntry, coding: 'zstd' | 'br' | 'gzip'): void {
    const { serial } = exchange
    this.#shelf.find(name, coding, outcome => {
      if (exchange.serial !== serial) return
      const usable = outcome instanceof FileEntry
      const which = usable ? outcome : entry
      if (which.ready) answerFile(exchange, which, which.plain, this.#added)
      else this.#file(exchange, name)
    })
  }

  #answerMade(exchange: Exchange, entry: FileEntry, coding: 'zstd' | 'br' | 'gzip'): void {
    const made = entry.made.get(coding)
    if (made !== undefined) {
      answerFile(exchange, entry, made, this.#added)
      return
    }
    const { serial } = exchange
    const plain = { ...entry.plain }
    this.#shelf.make(entry, coding, fresh => {
      if (exchange.serial === serial) answerFile(exchange, entry, fresh ?? plain, this.#added)
    })
  }
}
