// Files that the system file names for the edge: found, and read where the snapshot holds what is in them (pages, and the
// hash of hook modules). Owns the sentences of what is missing or unfit. Certificates are judged, but the edge reads them itself.

import { createHash } from 'node:crypto'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import type { PageSpec } from '../edge/snapshot.ts'
import { type CheckedGuard, type CheckedSystem, fileFailures, type Problem } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import { doubtsAbout, mayExport, readAuthorities, readPair } from './edge-file-contents.ts'

export interface EdgeFiles {
  /** By path as the file has it. */
  readonly pages: Readonly<Record<string, PageSpec>>
  /** SHA-256 (hex) of a hook module and of all that it imports by a relative path, by path as the file has it. */
  readonly hookHashes: Readonly<Record<string, string>>
}

export interface EdgeFilesFound {
  readonly files: EdgeFiles
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  /** Absolute: a change of one of these is a change of the system. */
  readonly watched: readonly string[]
}

export const noEdgeFiles: EdgeFiles = { pages: {}, hookHashes: {} }

const pageBytesMax = 65_536
const moduleBytesMax = 4 * 1_048_576
const modulesMax = 500

const pageTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.htm': 'text/html; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.json': 'application/json',
}

/** Reads what the system names, from `baseDirectory` on; every problem at once. */
export function readEdgeFiles(system: CheckedSystem, baseDirectory: string): EdgeFilesFound {
  const found = new Finding(baseDirectory)
  const { edge } = system
  for (const [status, page] of Object.entries(edge.errorPages ?? {}))
    found.page(`edge.errorPages.${status}`, page)
  if (edge.maintenance?.page) found.page('edge.maintenance.page', edge.maintenance.page)
  if (edge.tracing?.headersFile) found.readable('edge.tracing.headersFile', edge.tracing.headersFile)
  edge.tls?.certificates.forEach(({ certFile, keyFile, hosts }, index) => {
    found.pair(`edge.tls.certificates[${index}]`, certFile, keyFile, hosts)
  })
  const { clientCertificates, acme } = edge.tls ?? {}
  if (clientCertificates) found.authorities('edge.tls.clientCertificates.caFile', clientCertificates.caFile)
  if (acme?.caFile) found.authorities('edge.tls.acme.caFile', acme.caFile)
  edge.routes.forEach(({ action, hooks }, index) => {
    if (action.kind === 'files') found.folder(`edge.routes[${index}].files`, action.root)
    if (hooks) {
      found.module(`edge.routes[${index}].hooks.module`, hooks.module)
      for (const key of ['onRequest', 'onResponse'] as const)
        if (hooks[key] !== undefined)
          found.exported(`edge.routes[${index}].hooks.${key}`, hooks.module, hooks[key])
    }
  })
  for (const { name, upstream } of Object.values(system.services)) {
    const { caFile, certFile, keyFile } = upstream.tls ?? {}
    if (caFile !== undefined) found.authorities(`services.${name}.tls.caFile`, caFile)
    if (certFile !== undefined && keyFile !== undefined)
      found.pair(`services.${name}.tls`, certFile, keyFile, [])
  }
  if (system.guard !== undefined) guardFiles(system.guard, found)
  return found
}

function guardFiles({ geo, bots, rooms, policies }: CheckedGuard, found: Finding): void {
  const { countryFile, asnFile } = geo ?? {}
  if (countryFile !== undefined) found.readable('guard.geo.country', countryFile)
  if (asnFile !== undefined) found.readable('guard.geo.asn', asnFile)
  bots.crawlerFiles.forEach((file, index) => {
    found.readable(`guard.bots.crawlerFiles[${index}]`, file)
  })
  bots.dataCentreFiles.forEach((file, index) => {
    found.readable(`guard.bots.dataCentres.files[${index}]`, file)
  })
  bots.signatureAgents.forEach(({ keysFile }, index) => {
    if (keysFile !== undefined) found.readable(`guard.bots.signatureAgents[${index}].keysFile`, keysFile)
  })
  for (const { name, page } of Object.values(rooms))
    if (page !== undefined) found.readable(`guard.rooms.${name}.page`, page)
  for (const { name, waf } of Object.values(policies))
    if (waf !== undefined && waf.rules !== 'builtin')
      for (const rules of waf.rules) found.there(`guard.policies.${name}.waf.rules`, rules)
}

/** A page's content; throws a sentence that completes "FILE ...". */
export function readPage(file: string): PageSpec {
  const contentType = pageTypes[extname(file).toLowerCase()]
  if (contentType === undefined)
    throw new Error(`is not a kind of page: ${Object.keys(pageTypes).join(', ')}`)
  const bytes = readBounded(file, pageBytesMax)
  return { contentType, body: bytes.toString('utf8') }
}

class Finding implements EdgeFilesFound {
  readonly pages: Record<string, PageSpec> = {}
  readonly hookHashes: Record<string, string> = {}
  readonly problems: Problem[] = []
  readonly warnings: Problem[] = []
  readonly #watched: Set<string> = new Set()
  readonly #base: string

  constructor(baseDirectory: string) {
    this.#base = baseDirectory
  }

  get files(): EdgeFiles {
    return { pages: this.pages, hookHashes: this.hookHashes }
  }

  get watched(): readonly string[] {
    return [...this.#watched]
  }

  page(path: string, written: string): void {
    const file = resolve(this.#base, written)
    this.#watched.add(file)
    this.#try(path, written, 'Write the page, or correct the path.', () => {
      this.pages[written] = readPage(file)
    })
  }

  module(path: string, written: string): void {
    const file = resolve(this.#base, written)
    this.#try(path, written, 'Write the module, or correct the path.', () => {
      this.hookHashes[written] = hashModule(file, this.#watched)
    })
  }

  /** A module that is missing has been told already. */
  exported(path: string, module: string, name: string): void {
    if (this.hookHashes[module] === undefined) return
    this.#try(path, name, `Export it there (export const ${name} = ...), or correct the name.`, () => {
      const text = readBounded(resolve(this.#base, module), moduleBytesMax).toString('utf8')
      if (!mayExport(text, name)) throw new Error(`is not in ${module}`)
    })
  }

  readable(path: string, written: string): boolean {
    return this.#try(path, written, 'Put the file there, or correct the path and its permissions.', () => {
      const file = resolve(this.#base, written)
      if (!statOf(file).isFile()) throw new Error('is not a file')
      accessSync(file, constants.R_OK)
    })
  }

  /** A file or a folder. */
  there(path: string, written: string): void {
    this.#try(path, written, 'Put the file or folder there, or correct the path.', () => {
      const file = resolve(this.#base, written)
      statOf(file)
      accessSync(file, constants.R_OK)
    })
  }

  authorities(path: string, written: string): void {
    if (!this.readable(path, written)) return
    this.#try(path, written, 'Name a file of certificates in PEM.', () =>
      readAuthorities(resolve(this.#base, written), written),
    )
  }

  /** @param hosts What the certificate is to be for; empty: whatever it names. */
  pair(path: string, certFile: string, keyFile: string, hosts: readonly string[]): void {
    const readable = [this.readable(`${path}.certFile`, certFile), this.readable(`${path}.keyFile`, keyFile)]
    if (readable.includes(false)) return
    this.#try(path, certFile, 'Write both files of one pair, the key unlocked.', () => {
      const where = `${certFile} (key: ${keyFile})`
      const facts = readPair(resolve(this.#base, certFile), resolve(this.#base, keyFile), where)
      for (const message of doubtsAbout(facts, hosts, Date.now()))
        this.warnings.push({
          code: fileFailures.doubtful.code,
          path: `${path}.certFile`,
          value: JSON.stringify(certFile),
          message,
        })
    })
  }

  folder(path: string, written: string): void {
    this.#try(path, written, 'Make the folder (is it built yet?), or correct the path.', () => {
      if (!statOf(resolve(this.#base, written)).isDirectory()) throw new Error('is not a folder')
    })
  }

  #try(path: string, written: string, remedy: string, look: () => void): boolean {
    try {
      look()
      return true
    } catch (cause) {
      this.problems.push({
        code: fileFailures.pathUnusable.code,
        path,
        value: JSON.stringify(written),
        message: troubleOf(cause as NodeJS.ErrnoException),
        remedy,
      })
      return false
    }
  }
}

function troubleOf(cause: NodeJS.ErrnoException): string {
  // A whole sentence of its own.
  if (cause instanceof Failure) return `can not be used: ${cause.message.replace(/\.$/, '')}`
  const { code, message } = cause
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by the user that runs Tenfold'
  return code === undefined ? message : `can not be read: ${message}`
}

const statOf = (file: string): ReturnType<typeof statSync> & object => statSync(file) as never

function readBounded(file: string, bytesMax: number): Buffer {
  const stat = statOf(file)
  if (!stat.isFile()) throw new Error('is not a file')
  if (Number(stat.size) > bytesMax) throw new Error(`has ${stat.size} bytes; at most ${bytesMax} are allowed`)
  return readFileSync(file)
}

// What stands after `from`, `import` or in `import(...)` and `require(...)`, where it is a relative path.
const relativeImport = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\()\s*(["'])(\.{1,2}\/[^"'\n]+)\1/g

/** Of the module and of all that it imports by relative paths; each file read goes into `seen`. */
function hashModule(file: string, seen: Set<string>): string {
  const hash = createHash('sha256')
  const waiting = [file]
  const done = new Set<string>()
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (done.has(next)) continue
    done.add(next)
    seen.add(next)
    if (done.size > modulesMax) throw new Error(`imports more than ${modulesMax} files`)
    const text = importedText(next, next === file)
    hash.update(`${done.size} ${text.length}\n${text}`)
    const imports = [...text.matchAll(relativeImport)].map(match =>
      resolve(dirname(next as string), match[2] as string),
    )
    waiting.push(...imports.toReversed())
  }
  return hash.digest('hex')
}

/** An import that is not there is the hook worker's to tell; here it only counts as empty. */
function importedText(file: string, required: boolean): string {
  try {
    return readBounded(file, moduleBytesMax).toString('utf8')
  } catch (cause) {
    if (required) throw cause
    return ''
  }
}
