// Random reads over the corpus' tables, whose answer PostgreSQL leaves no choice about: what is bounded is ordered by all of its
// columns, sums are of exact numbers, values that are equal look alike.

import type { GeneratorValue } from 'fast-check'
import fc from 'fast-check'

type Type = 'int' | 'text' | 'num' | 'bool' | 'date' | 'time' | 'mood' | 'interval'

interface Column {
  readonly name: string
  readonly type: Type
  /** As it is said where it is shown: equal values look alike. */
  readonly shown?: string
}

interface Table {
  readonly name: string
  readonly columns: readonly Column[]
  /** With which a row is told from all others. */
  readonly unique: readonly string[]
  /** Columns of the shard's key, and its family. */
  readonly key: readonly string[]
  readonly family: string
}

const int = (name: string): Column => ({ name, type: 'int' })
const text = (name: string): Column => ({ name, type: 'text' })
const table = (
  name: string,
  family: string,
  key: string,
  unique: string,
  ...columns: readonly Column[]
): Table => ({ name, family, key: key === '' ? [] : key.split(' '), unique: unique.split(' '), columns })

const all: readonly Table[] = [
  table(
    'customers',
    'customers',
    'id',
    'id',
    int('id'),
    text('name'),
    text('mail'),
    { name: 'born', type: 'date' },
    { name: 'vip', type: 'bool' },
    { name: 'spent', type: 'num', shown: 'trim_scale(#)' },
    { name: 'feels', type: 'mood' },
  ),
  table(
    'orders',
    'customers',
    'customer',
    'customer number',
    int('customer'),
    int('number'),
    int('film'),
    { name: 'price', type: 'num' },
    { name: 'at', type: 'time' },
    text('code'),
  ),
  table(
    'lines',
    'customers',
    'customer',
    'customer number line',
    int('customer'),
    int('number'),
    int('line'),
    int('quantity'),
    text('note'),
  ),
  table('films', '', '', 'id', int('id'), text('title'), int('genre'), { name: 'minutes', type: 'interval' }),
  table('genres', '', '', 'id', int('id'), text('name')),
  table('events', 'events', 'at', 'at', int('at'), text('kind')),
  table('tenants', 'tenants', 'region', 'region name', text('region'), text('name'), int('size')),
  table(
    'accounts',
    'accounts',
    'account',
    'account',
    text('account'),
    { name: 'balance', type: 'num' },
    text('note'),
  ),
  table('pairs', 'pairs', 'a b', 'a b', text('a'), int('b'), text('value')),
  table('settings', '', '', 'name', text('name'), text('value')),
]

export interface RandomStatement {
  readonly text: string
  readonly values: readonly string[] | undefined
}

interface Source extends Table {
  readonly alias: string
}

/** Draws. */
export type Draw = GeneratorValue

class Reads {
  readonly #draw: Draw
  readonly values: string[] = []
  #aliases = 0

  constructor(draw: Draw) {
    this.#draw = draw
  }

  #one<T>(of: readonly T[]): T {
    return this.#draw(fc.constantFrom, ...of) as T
  }

  #upTo(max: number): number {
    return this.#draw(fc.nat, max)
  }

  /** About one time in `n`. */
  #maybe(n: number): boolean {
    return this.#upTo(n - 1) === 0
  }

  // --- values ---------------------------------------------------------------------------------------------------

  #value(type: Type): string {
    switch (type) {
      case 'int':
        return String(this.#one([0, 1, 2, 3, 5, 7, 8, 12, 17, 20, 39, 55, 77, 100, -100, 5_000_000_000]))
      case 'text':
        return this.#one([
          'Ann',
          'ann',
          'zoe',
          'É',
          "O'Hara",
          '',
          'eu',
          'us',
          'US',
          'acc-1-1',
          'note 3',
          'abc',
          'x',
          'y',
          'Film A0',
        ])
      case 'num':
        return this.#one(['0', '1.5', '12.3125', '100', '-3', '10.25', '12345678901234567890'])
      case 'bool':
        return this.#one(['t', 'f'])
      case 'date':
        return this.#one(['1970-01-01', '2000-02-29', '0001-01-01 BC', 'infinity'])
      case 'time':
        return this.#one(['2026-01-01 00:00:00+00', '-infinity', '2026-03-29 00:30:00+00'])
      case 'mood':
        return this.#one(['sad', 'fine', 'happy'])
      case 'interval':
        return this.#one(['80 minutes', '101 minutes', '2 hours'])
    }
  }

  /** A literal, or a parameter. */
  #literal(type: Type): string {
    const value = this.#value(type)
    if (this.#maybe(4)) {
      this.values.push(value)
      return `$${this.values.length}`
    }
    return type === 'int' || type === 'num' ? value : `'${value.replaceAll("'", "''")}'`
  }

  // --- conditions -----------------------------------------------------------------------------------------------

  #column(sources: readonly Source[], types?: readonly Type[]): { sql: string; shown: string; type: Type } {
    const fitting = sources.flatMap(source =>
      source.columns
        .filter(({ type }) => types === undefined || types.includes(type))
        .map(column => ({ source, column })),
    )
    const { source, column } = this.#one(fitting)
    const sql = `${source.alias}.${column.name}`
    return { sql, shown: column.shown?.replace('#', sql) ?? sql, type: column.type }
  }

  #pin(source: Source): string {
    return source.key
      .map(name => {
        const type = source.columns.find(column => column.name === name)?.type ?? 'int'
        const sql = `${source.alias}.${name}`
        if (this.#maybe(3)) return `${sql} IN (${this.#literal(type)}, ${this.#literal(type)})`
        if (this.#maybe(5)) return `(${sql} = ${this.#literal(type)} OR ${sql} = ${this.#literal(type)})`
        return `${sql} = ${this.#literal(type)}`
      })
      .join(' AND ')
  }

  #condition(sources: readonly Source[], depth: number): string {
    const kind = this.#upTo(depth > 0 ? 11 : 6)
    const { sql, type } = this.#column(sources)
    switch (kind) {
      case 0:
        return `${sql} IS ${this.#one(['', 'NOT '])}NULL`
      case 1:
        return `${sql} ${this.#one(['IN', 'NOT IN'])} (${this.#literal(type)}, ${this.#literal(type)})`
      case 2:
        return `${sql} ${this.#one(['', 'NOT '])}BETWEEN ${this.#literal(type)} AND ${this.#literal(type)}`
      case 3: {
        const like = this.#column(sources, ['text', 'int'])
        return `${like.sql}${like.type === 'int' ? '::text' : ''} ${this.#one(['LIKE', 'NOT LIKE', 'ILIKE'])} ${this.#one(["'%a%'", "'_n%'", "'1%'"])}`
      }
      case 4:
        return `${sql} IS ${this.#one(['', 'NOT '])}DISTINCT FROM ${this.#literal(type)}`
      case 5:
      case 6:
        return `${sql} ${this.#one(['=', '<>', '<', '<=', '>', '>='])} ${this.#literal(type)}`
      case 7:
        return `NOT (${this.#condition(sources, depth - 1)})`
      case 8:
        return `(${this.#condition(sources, depth - 1)} OR ${this.#condition(sources, depth - 1)})`
      case 9:
        return `(${this.#condition(sources, depth - 1)} AND ${this.#condition(sources, depth - 1)})`
      case 10: {
        const inner = this.#source()
        const mine = this.#column(sources, ['int', 'text'])
        const theirs = inner.columns.filter(column => column.type === mine.type)
        if (theirs.length === 0) return `${sql} IS NOT NULL`
        const their = `${inner.alias}.${this.#one(theirs).name}`
        const more = this.#maybe(2) ? ` WHERE ${this.#condition([inner], 0)}` : ''
        return `${mine.sql} ${this.#one(['IN', 'IN', 'NOT IN'])} (SELECT ${their} FROM ${inner.name} ${inner.alias}${more}${more === '' ? ' WHERE' : ' AND'} ${their} IS NOT NULL)`
      }
      default: {
        const inner = this.#source()
        const more = this.#maybe(2) ? ` AND ${this.#condition([inner], 0)}` : ''
        return `${this.#one(['', 'NOT '])}EXISTS (SELECT FROM ${inner.name} ${inner.alias} WHERE ${this.#joined(sources, inner)}${more})`
      }
    }
  }

  // --- tables ---------------------------------------------------------------------------------------------------

  #source(): Source {
    const of = this.#one(all)
    return { ...of, alias: `${of.name[0]}${this.#aliases++}` }
  }

  #joined(sources: readonly Source[], next: Source): string {
    const family = sources.filter(one => one.family === next.family && next.family !== '')
    if (family.length > 0 && !this.#maybe(4)) {
      const one = this.#one(family)
      const keys = one.key.map((name, at) => `${one.alias}.${name} = ${next.alias}.${next.key[at]}`)
      const number = [one, next].every(({ columns }) => columns.some(({ name }) => name === 'number'))
      if (number && this.#maybe(2)) keys.push(`${one.alias}.number = ${next.alias}.number`)
      return keys.join(' AND ')
    }
    const types: Type[] = next.columns.some(({ type }) => type === 'int') ? ['int'] : ['text']
    const has = sources.some(({ columns }) => columns.some(({ type }) => types.includes(type)))
    if (!has) return 'true'
    return `${this.#column(sources, types).sql} = ${this.#column([next], types).sql}`
  }

  #from(max: number): { readonly sources: readonly Source[]; readonly sql: string } {
    const sources = [this.#source()]
    let sql = `${sources[0]?.name} ${sources[0]?.alias}`
    for (let more = this.#upTo(max - 1); more > 0; more--) {
      const next = this.#source()
      const kind = this.#one(['JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'])
      const on = this.#joined(sources, next)
      sql += ` ${on === 'true' && kind === 'FULL JOIN' ? 'LEFT JOIN' : kind} ${next.name} ${next.alias} ON ${on}`
      sources.push(next)
    }
    return { sources, sql }
  }

  #where(sources: readonly Source[]): string {
    const conditions: string[] = []
    const keyed = sources.filter(one => one.key.length > 0)
    if (keyed.length > 0 && this.#maybe(3)) conditions.push(this.#pin(this.#one(keyed)))
    for (let count = this.#upTo(2); count > 0; count--) conditions.push(this.#condition(sources, 2))
    return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  }

  // --- what is selected -----------------------------------------------------------------------------------------

  #expression(sources: readonly Source[]): { readonly sql: string; readonly type: Type } {
    const { sql, shown, type } = this.#column(sources)
    switch (this.#upTo(7)) {
      case 0:
        return { sql: `CASE WHEN ${this.#condition(sources, 0)} THEN ${shown} END`, type }
      case 1:
        return type === 'int' ? { sql: `${sql} + ${this.#upTo(9)}`, type } : { sql: shown, type }
      case 2:
        return type === 'text' ? { sql: `upper(${sql}) || '!'`, type } : { sql: shown, type }
      case 3:
        return { sql: `coalesce(${shown}, ${this.#literal(type)})`, type }
      default:
        return { sql: shown, type }
    }
  }

  /** By all of its columns; so that bounds leave nothing open. */
  #order(count: number): string {
    const positions = Array.from({ length: count }, (_, at) => at + 1)
    const shifted = this.#upTo(count - 1)
    const turned = [...positions.slice(shifted), ...positions.slice(0, shifted)]
    const list = turned.map(
      at => `${at}${this.#one(['', '', ' DESC', ' ASC NULLS FIRST', ' DESC NULLS LAST'])}`,
    )
    const limit = this.#maybe(2) ? ` LIMIT ${this.#upTo(30)}` : ''
    const offset = this.#maybe(4) ? ` OFFSET ${this.#upTo(9)}` : ''
    return ` ORDER BY ${list.join(', ')}${limit}${offset}`
  }

  plain(): { readonly sql: string; readonly types: readonly Type[] } {
    const { sources, sql } = this.#from(3)
    const items = Array.from({ length: 1 + this.#upTo(3) }, () => this.#expression(sources))
    const distinct = this.#maybe(4) ? 'DISTINCT ' : ''
    const list = items.map((item, at) => `${item.sql} AS x${at}`).join(', ')
    const order = this.#maybe(2) ? this.#order(items.length) : ''
    return {
      sql: `SELECT ${distinct}${list} FROM ${sql}${this.#where(sources)}${order}`,
      types: items.map(({ type }) => type),
    }
  }

  grouped(): string {
    const { sources, sql } = this.#from(3)
    const groups = Array.from({ length: this.#upTo(2) }, () => this.#column(sources))
    const shown = [...new Set(groups.map(one => one.shown))]
    const aggregates = Array.from({ length: 1 + this.#upTo(2) }, () => this.#aggregate(sources))
    const list = [...shown, ...aggregates].map((item, at) => `${item} AS x${at}`)
    const group = shown.length === 0 ? '' : ` GROUP BY ${shown.join(', ')}`
    const having = this.#maybe(4) ? ` HAVING count(*) > ${this.#upTo(4)}` : ''
    const order = this.#maybe(2) ? this.#order(list.length) : ''
    return `SELECT ${list.join(', ')} FROM ${sql}${this.#where(sources)}${group}${having}${order}`
  }

  #aggregate(sources: readonly Source[]): string {
    const filter = this.#maybe(5) ? ` FILTER (WHERE ${this.#condition(sources, 0)})` : ''
    return this.#call(sources).replace('#', filter)
  }

  /** `#`: where a FILTER may stand. */
  #call(sources: readonly Source[]): string {
    const { sql, shown, type } = this.#column(sources)
    const exact = type === 'int' || type === 'num'
    switch (this.#upTo(8)) {
      case 0:
        return `count(${sql})#`
      case 1:
        return `count(DISTINCT ${sql})#`
      case 2:
        return exact ? `trim_scale(sum(${sql})#::numeric)` : 'count(*)#'
      case 3:
        return exact ? `avg(${sql})#` : 'count(*)#'
      case 4:
        return type === 'int'
          ? `${this.#one(['stddev', 'variance', 'stddev_pop', 'var_pop'])}(${sql})#`
          : 'count(*)#'
      case 5:
        return type === 'bool' ? `${this.#one(['bool_and', 'bool_or', 'every'])}(${sql})#` : 'count(*)#'
      case 6:
        return `string_agg(${shown}::text, ',' ORDER BY ${shown}::text COLLATE "C")#`
      case 7:
        return `array_agg(${shown} ORDER BY ${sql})#`
      default: {
        const call = this.#one(['min', 'max'])
        if (type === 'bool') return `${call}(${sql}::text)#`
        return type === 'num' ? `trim_scale(${call}(${sql})#)` : `${call}(${sql})#`
      }
    }
  }

  windowed(): string {
    const { sources, sql } = this.#from(2)
    const unique = sources.flatMap(one => one.unique.map(name => `${one.alias}.${name}`)).join(', ')
    const part = this.#maybe(2) ? `PARTITION BY ${this.#column(sources).sql} ` : ''
    const call = this.#one([
      'row_number()',
      'rank()',
      'count(*)',
      `lag(${this.#column(sources, ['int', 'text']).sql})`,
    ])
    return `SELECT ${unique}, ${call} OVER (${part}ORDER BY ${unique}) FROM ${sql}${this.#where(sources)}`
  }

  combined(): string {
    const arm = (type: Type): string => {
      const { sources, sql } = this.#from(2)
      const has = sources.some(({ columns }) => columns.some(column => column.type === type))
      const item = has ? this.#column(sources, [type]).sql : `NULL::${type === 'int' ? 'bigint' : 'text'}`
      return `SELECT ${item}${type === 'int' ? '::bigint' : '::text'} AS x0 FROM ${sql}${this.#where(sources)}`
    }
    const type = this.#one<Type>(['int', 'text'])
    const how = this.#one(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL'])
    const order = this.#maybe(2) ? this.#order(1) : ''
    return `${arm(type)} ${how} ${arm(type)}${order}`
  }

  nested(): string {
    const { sql, types } = this.plain()
    const number = types.indexOf('int')
    const what =
      number < 0
        ? 'count(*)'
        : this.#one([`count(*), sum(s.x${number})`, `max(s.x${number}), min(s.x${number})`])
    if (this.#maybe(2)) return `SELECT ${what} FROM (${sql}) AS s`
    return `WITH s AS (${sql}) SELECT ${what} FROM s${this.#maybe(3) ? ', s AS again LIMIT 5' : ''}`
  }
}

export function randomRead(draw: Draw): RandomStatement {
  const reads = new Reads(draw)
  const text = [
    () => reads.plain().sql,
    () => reads.plain().sql,
    () => reads.grouped(),
    () => reads.grouped(),
    () => reads.windowed(),
    () => reads.combined(),
    () => reads.nested(),
  ][draw(fc.nat, 6)]?.()
  return { text: text ?? '', values: reads.values.length === 0 ? undefined : reads.values }
}
