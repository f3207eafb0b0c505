// An OpenAPI 3.0 or 3.1 description made into routes: text in, routes and warnings out, each with the line it speaks of.
// Pure but for the parser; reads no file (commands/routes.ts). What has no counterpart in a route is a warning, never a
// guess: a route that took other requests than the description says would be worse than none.

import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { fixedPrefix, parsePathPattern } from '../file/patterns.ts'
import { parseDurationMs, Refused } from '../file/values.ts'
import { Failure } from '../kit/failure.ts'
import { cliFailures } from './failures.ts'

/** The keys of a route that are made; the order is that of the text. */
export interface ImportedRoute {
  readonly name: string
  readonly path: string
  readonly methods: readonly string[]
  readonly to: string
  readonly rewrite?: string
  readonly timeout?: string
}

export interface ImportWarning {
  readonly line: number
  readonly text: string
}

export interface ImportedRoutes {
  /** Title and version of the description. */
  readonly source: string
  readonly routes: readonly ImportedRoute[]
  readonly warnings: readonly ImportWarning[]
}

export interface ImportWishes {
  readonly service: string
  /** Goes before every path and is taken off on the way to the service; '' or `/api`. */
  readonly prefix: string
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const
/** Of a path item and the whole, without a counterpart and without a say in what is routed. */
const silentKeys = new Set([
  'summary',
  'description',
  'parameters',
  'tags',
  'info',
  'components',
  'externalDocs',
])
const nameBytesMax = 200
const pathsMax = 500

interface Operation {
  readonly method: string
  readonly id: string | undefined
  readonly timeout: string | undefined
}

interface Found {
  readonly path: string
  readonly line: number
  readonly operations: Operation[]
}

export function routesOfOpenApi(text: string, wishes: ImportWishes): ImportedRoutes {
  return new Import(text, wishes).run()
}

class Import {
  readonly #lines = new LineCounter()
  readonly #root: YAMLMap
  readonly #wishes: ImportWishes
  readonly #warnings: ImportWarning[] = []
  readonly #said = new Set<string>()

  constructor(text: string, wishes: ImportWishes) {
    this.#wishes = wishes
    // JSON is YAML: one parser, and one way to know where something stands.
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false })
    const [error] = document.errors
    if (error !== undefined) {
      const { line, col } = this.#lines.linePos(error.pos[0])
      throw new Failure(
        cliFailures.descriptionUnreadable,
        `Line ${line}, column ${col}: ${error.message.replace(/\.?\s*$/, '')}.`,
      )
    }
    if (!isMap(document.contents)) throw this.#invalid(1, 'the description is no map of keys')
    this.#root = document.contents
  }

  run(): ImportedRoutes {
    this.#checkVersion()
    const base = this.#basePath()
    for (const key of ['webhooks', 'security'])
      if (this.#root.has(key))
        this.#warn(
          this.#lineOfKey(this.#root, key),
          key === 'webhooks'
            ? "'webhooks' are requests that the service sends: no route is made of them"
            : "'security' is not enforced by routes: the service checks who asks",
        )
    const found = this.#paths()
    const routes = concreteFirst(found).flatMap(one => this.#routesOf(one, base))
    return { source: this.#source(), routes, warnings: this.#warnings.sort((a, b) => a.line - b.line) }
  }

  // --- the whole ----------------------------------------------------------------------------------------------

  #checkVersion(): void {
    const version = textOf(this.#root.get('openapi', true))
    if (version !== undefined && /^3\.[01](?:\.|$)/.test(version)) return
    const swagger = textOf(this.#root.get('swagger', true))
    if (swagger !== undefined)
      throw this.#invalid(
        this.#lineOfKey(this.#root, 'swagger'),
        `this is Swagger ${swagger}; OpenAPI 3.0 and 3.1 are read`,
      )
    if (version !== undefined)
      throw this.#invalid(
        this.#lineOfKey(this.#root, 'openapi'),
        `this is OpenAPI ${version}; 3.0 and 3.1 are read`,
      )
    throw this.#invalid(1, "there is no key 'openapi': a description begins with openapi: 3.1.0")
  }

  #source(): string {
    const info = this.#root.get('info', true)
    if (!isMap(info)) return 'an OpenAPI description'
    const part = (key: string): string => (textOf(info.get(key, true)) ?? '').replace(/\s+/g, ' ').trim()
    return `${part('title')} ${part('version')}`.trim() || 'an OpenAPI description'
  }

  /** The path of the servers' URLs: the service knows its own paths with it. */
  #basePath(): string {
    const servers = this.#root.get('servers', true)
    if (!isSeq(servers)) return ''
    const bases = servers.items.map(server => (isMap(server) ? this.#baseOf(server) : ''))
    const other = bases.findIndex(base => base !== bases[0])
    if (other > 0)
      this.#warn(
        this.#lineOf(servers.items[other] as Node),
        `the servers have different base paths; '${bases[0] || '/'}' of the first is taken`,
      )
    return bases[0] ?? ''
  }

  #baseOf(server: YAMLMap): string {
    const url = (textOf(server.get('url', true)) ?? '').replace(/\{([^}]*)\}/g, (_, name: string) => {
      const value = server.getIn(['variables', name, 'default'])
      return value === undefined ? '' : String(value)
    })
    const path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*|^\/\/[^/]*/i, '').replace(/[?#].*$/, '')
    const base = path.replace(/\/+$/, '')
    return base === '' || base.startsWith('/') ? base : `/${base}`
  }

  // --- paths --------------------------------------------------------------------------------------------------

  #paths(): Found[] {
    const paths = this.#root.get('paths', true)
    if (!isMap(paths) || paths.items.length === 0)
      throw this.#invalid(this.#lineOfKey(this.#root, 'paths'), "there are no 'paths'")
    if (paths.items.length > pathsMax)
      throw this.#invalid(
        this.#lineOfKey(this.#root, 'paths'),
        `there are ${paths.items.length} paths; at most ${pathsMax} routes fit an edge`,
      )
    const found = new Map<string, Found>()
    for (const pair of paths.items as Pair<Node, Node>[]) {
      const template = textOf(pair.key) ?? ''
      const line = this.#lineOf(pair.key)
      if (template.startsWith('x-')) continue
      if (!template.startsWith('/')) throw this.#invalid(line, `the path '${template}' does not begin with /`)
      const path = this.#patternOf(template, line)
      const operations = this.#operations(pair.value, template)
      if (operations.length === 0) continue
      const before = [...found.values()].find(one => shapeOf(one.path) === shapeOf(path))
      if (before === undefined) found.set(path, { path, line, operations })
      else {
        this.#warn(line, `'${template}' takes the same requests as line ${before.line}: they are one route`)
        before.operations.push(...operations)
      }
    }
    return [...found.values()]
  }

  /** `/films/{id}` -> `/films/:id`. */
  #patternOf(template: string, line: number): string {
    const used = new Set<string>()
    const segments = template.slice(1).split('/')
    const pattern = segments.map((segment, at) => {
      const templated = segment.match(/\{[^}]*\}/g)
      if (templated === null) return segment
      if (segment !== templated[0])
        this.#warn(line, `'${segment}' of '${template}' is a whole segment in a route: it takes every value`)
      const plain = (templated[0] as string)
        .slice(1, -1)
        .replace(/[^A-Za-z0-9_]+/g, '_')
        .replace(/^(?=\d)|^$/, '_')
      const name = used.has(plain) ? `${plain}_${at}` : plain
      used.add(name)
      return `:${name}`
    })
    return `/${pattern.join('/')}`
  }

  #operations(item: Node | null, template: string): Operation[] {
    if (!isMap(item)) return []
    const operations: Operation[] = []
    const shared = this.#timeoutOf(item)
    for (const pair of item.items as Pair<Node, Node>[]) {
      const key = textOf(pair.key) ?? ''
      const line = this.#lineOf(pair.key)
      if ((methods as readonly string[]).includes(key)) {
        const operation = isMap(pair.value) ? pair.value : undefined
        operations.push({
          method: key.toUpperCase(),
          id: operation && textOf(operation.get('operationId', true)),
          timeout: (operation && this.#timeoutOf(operation)) ?? shared,
        })
        if (operation !== undefined) this.#lookInto(operation, `${key.toUpperCase()} ${template}`)
      } else if (key === 'trace') this.#warn(line, 'TRACE is refused by the edge: no route takes it')
      else if (key === '$ref')
        this.#warn(line, `'$ref' of '${template}' is not followed: write the operations in its place`)
      else if (key === 'servers') this.#warn(line, `'servers' of '${template}' are not regarded`)
      else if (!silentKeys.has(key) && !key.startsWith('x-'))
        this.#warn(line, `'${key}' of '${template}' is no key of a path item`)
    }
    return operations
  }

  #lookInto(operation: YAMLMap, what: string): void {
    if (operation.has('servers'))
      this.#warn(this.#lineOfKey(operation, 'servers'), `'servers' of ${what} are not regarded`)
    if (operation.has('callbacks'))
      this.#warn(
        this.#lineOfKey(operation, 'callbacks'),
        `'callbacks' of ${what} are sent by the service: no route is made of them`,
      )
    if (operation.has('security'))
      this.#once(
        'security',
        this.#lineOfKey(operation, 'security'),
        "'security' is not enforced by routes: the service checks who asks",
      )
  }

  /** `x-timeout: 5s`. */
  #timeoutOf(map: YAMLMap): string | undefined {
    const node = map.get('x-timeout', true)
    if (node === undefined) return undefined
    const text = textOf(node) ?? ''
    if (parseDurationMs(text) !== undefined && /[a-z]$/.test(text)) return text
    this.#warn(this.#lineOf(node as Node), `'x-timeout: ${text}' is no duration such as '5s': it is left out`)
    return undefined
  }

  // --- routes -------------------------------------------------------------------------------------------------

  /** Operations of a path that have the same time-out are one route. */
  #routesOf({ path, line, operations }: Found, base: string): ImportedRoute[] {
    const { prefix, service } = this.#wishes
    const full = `${prefix}${base}${path}`
    const pattern = parsePathPattern(full)
    if (pattern instanceof Refused) {
      this.#warn(line, `'${full}' ${pattern.refusal().message}: no route is made of it`)
      return []
    }
    const groups = new Map<string | undefined, Operation[]>()
    for (const one of operations) groups.set(one.timeout, [...(groups.get(one.timeout) ?? []), one])
    return [...groups].map(([timeout, group]) => ({
      name: this.#nameOf(group, full, line),
      path: full,
      methods: [...new Set(group.map(one => one.method))],
      to: service,
      ...(prefix === '' ? {} : { rewrite: fixedPrefix(full).slice(prefix.length) || '/' }),
      ...(timeout === undefined ? {} : { timeout }),
    }))
  }

  readonly #names = new Set<string>()

  #nameOf(group: readonly Operation[], path: string, line: number): string {
    const ids = group.flatMap(({ id }) => (id === undefined ? [] : [id.replace(/[^!-~]+/g, '-')]))
    const wanted =
      ids.length === group.length
        ? ids.join('+')
        : `${[...new Set(group.map(one => one.method))].join(',')} ${path}`
    let name = wanted.replaceAll(' ', ':').slice(0, nameBytesMax)
    if (this.#names.has(name)) {
      this.#warn(line, `the name '${name}' is there already: a number is added`)
      for (let number = 2; this.#names.has(name); number++)
        name = `${wanted.slice(0, nameBytesMax - 4)}-${number}`
    }
    this.#names.add(name)
    return name
  }

  // --- places -------------------------------------------------------------------------------------------------

  #lineOf(node: Node | null | undefined): number {
    return node?.range ? this.#lines.linePos(node.range[0]).line : 1
  }

  #lineOfKey(map: YAMLMap, key: string): number {
    const pair = (map.items as Pair<Node, Node>[]).find(one => textOf(one.key) === key)
    return this.#lineOf(pair?.key)
  }

  #warn(line: number, text: string): void {
    this.#warnings.push({ line, text })
  }

  #once(key: string, line: number, text: string): void {
    if (this.#root.has(key) || this.#said.has(key)) return
    this.#said.add(key)
    this.#warn(line, text)
  }

  #invalid(line: number, what: string): Failure {
    return new Failure(cliFailures.descriptionInvalid, `Line ${line}: ${what}.`)
  }
}

function textOf(node: unknown): string | undefined {
  if (!isScalar(node) || node.value === null || node.value === undefined) return undefined
  // `3.0` unquoted is a number: what was written counts.
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value))
}

/** Two patterns of one shape take the same requests. */
function shapeOf(path: string): string {
  return path.replace(/:[^/]+/g, ':')
}

/**
 * The first route that matches wins: `/users/me` before `/users/:id` (OpenAPI 3.1, 4.8.8.1), on every level. Beside
 * that, paths that begin alike stand together, in the order of the description.
 */
function concreteFirst(found: readonly Found[], depth = 1): Found[] {
  const ends: Found[] = []
  const fixed = new Map<string, Found[]>()
  const parameters: Found[] = []
  for (const one of found) {
    const segment = one.path.split('/')[depth]
    if (segment === undefined) ends.push(one)
    else if (segment.startsWith(':')) parameters.push(one)
    else fixed.set(segment, [...(fixed.get(segment) ?? []), one])
  }
  const below = [...fixed.values(), parameters].filter(group => group.length > 0)
  return [...ends, ...below.flatMap(group => concreteFirst(group, depth + 1))]
}
