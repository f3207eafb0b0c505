// Tables of every placement, with values that are easily got wrong: NULLs, ties, signs of zero, infinities, letters whose order
// depends on who sorts, exact and inexact numbers, years before our era.

import { seededRandom } from '../../../src/kit/random.ts'
import type { ShardMap } from '../../../src/policy/shard/contract.ts'

const ids = ['1', '2', '3']
const slots = Array.from({ length: 24 }, (_, slot) => (slot * 5) % ids.length)

export const corpusMap: ShardMap = {
  format: 1,
  version: 1,
  shards: ids,
  families: {
    customers: { types: ['bigint'], rule: { by: 'hash', slots } },
    events: {
      types: ['bigint'],
      rule: {
        by: 'range',
        ranges: [
          { from: null, shard: 2 },
          { from: '0', shard: 0 },
          { from: '50', shard: 1 },
          { from: '100', shard: 2 },
        ],
      },
    },
    tenants: {
      types: ['text'],
      rule: {
        by: 'list',
        lists: [
          { values: ['eu', 'Ümlaut'], shard: 0 },
          { values: ['us', 'US'], shard: 1 },
        ],
        otherwise: 2,
      },
    },
    accounts: { types: ['text'], rule: { by: 'consistent', points: 20, slots } },
    things: { types: ['uuid'], rule: { by: 'directory', otherwise: null, assign: 'round-robin' } },
    pairs: {
      types: ['text', 'integer'],
      rule: {
        by: 'list-then',
        lists: [
          { values: ['x', 'Z'], rule: { by: 'hash', slots: [0, 1, 0, 1] } },
          {
            values: ['y'],
            rule: {
              by: 'range',
              ranges: [
                { from: null, shard: 2 },
                { from: '20', shard: 1 },
              ],
            },
          },
        ],
        otherwise: { by: 'consistent', points: 20, slots },
      },
    },
  },
  tables: {
    'public.customers': { kind: 'sharded', family: 'customers', key: ['id'] },
    'public.orders': { kind: 'sharded', family: 'customers', key: ['customer'] },
    'public.lines': { kind: 'sharded', family: 'customers', key: ['customer'] },
    'public.films': { kind: 'everywhere' },
    'public.genres': { kind: 'everywhere' },
    'public.log': { kind: 'round-robin' },
    'public.settings': { kind: 'on', shard: '2' },
    'public.events': { kind: 'sharded', family: 'events', key: ['at'] },
    'public.tenants': { kind: 'sharded', family: 'tenants', key: ['region'] },
    'public.accounts': { kind: 'sharded', family: 'accounts', key: ['account'] },
    'public.things': { kind: 'sharded', family: 'things', key: ['id'] },
    'public.pairs': { kind: 'sharded', family: 'pairs', key: ['a', 'b'] },
  },
}

export const corpusSchema = `
CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
CREATE TABLE customers (id bigint PRIMARY KEY, name text, mail text COLLATE "C", born date, vip boolean, spent numeric, feels mood);
CREATE TABLE orders (customer bigint NOT NULL, number integer NOT NULL, film integer, price numeric(12,4), rate double precision,
  at timestamptz, tags text[], extra jsonb, code char(6), PRIMARY KEY (customer, number),
  CONSTRAINT sane CHECK (number >= 0));
CREATE TABLE lines (customer bigint NOT NULL, number integer NOT NULL, line smallint NOT NULL, quantity integer NOT NULL DEFAULT 1, note varchar(40),
  PRIMARY KEY (customer, number, line), FOREIGN KEY (customer, number) REFERENCES orders ON DELETE CASCADE);
CREATE TABLE films (id integer PRIMARY KEY, title text NOT NULL, genre integer, minutes interval);
CREATE TABLE genres (id integer PRIMARY KEY, name text UNIQUE);
CREATE TABLE log (line text, level integer, at timestamp);
CREATE TABLE settings (name text PRIMARY KEY, value text);
CREATE TABLE events (at bigint PRIMARY KEY, kind text, weight real, bytes bytea);
CREATE TABLE tenants (region text, name text, size bigint, PRIMARY KEY (region, name));
CREATE TABLE accounts (account text PRIMARY KEY, balance numeric(14,2) NOT NULL DEFAULT 0, note text);
CREATE TABLE things (id uuid PRIMARY KEY, label text, parent uuid);
CREATE TABLE pairs (a text NOT NULL, b integer NOT NULL, value text, PRIMARY KEY (a, b))`

/** Of tables that a script may have changed. */
export const tableNames: readonly string[] = Object.keys(corpusMap.tables).map(name =>
  name.slice('public.'.length),
)

type Value = string | number | null

function literal(value: Value): string {
  if (value === null) return 'NULL'
  return typeof value === 'number' ? String(value) : `'${value.replaceAll("'", "''")}'`
}

/** INSERTs of several rows each. */
export function corpusRows(): string[] {
  const random = seededRandom(20_261_123)
  const one = <T>(all: readonly T[]): T => all[Math.floor(random.float() * all.length)] as T
  const rows = (count: number, row: (n: number) => readonly Value[]): string =>
    Array.from({ length: count }, (_, n) => `(${row(n).map(literal).join(', ')})`).join(', ')
  const names = ['Ann', 'ann', 'Öz', 'öz', 'Zoe', 'zoe', 'É', "O'Hara", 'a b', 'A-b', '日本', '', null]
  const times = [
    '2026-01-01 00:00:00+00',
    '2026-01-01 02:00:00+02',
    '0044-03-15 12:00:00+00 BC',
    'infinity',
    '-infinity',
    '2026-03-29 01:30:00+01',
    null,
  ]
  const rates = ['0', '-0', 'NaN', 'Infinity', '-Infinity', '1e-300', '0.1', '0.30000000000000004', null]
  return [
    `INSERT INTO genres VALUES ${rows(5, n => [n, n === 4 ? null : `genre ${n}`])}`,
    `INSERT INTO films VALUES ${rows(9, n => [n, `Film ${'ABC'[n % 3]}${n}`, n % 4 === 3 ? null : n % 4, `${80 + n * 7} minutes`])}`,
    `INSERT INTO customers VALUES ${rows(40, n => [
      n,
      one(names),
      n % 9 === 0 ? null : `${one(['a', 'B', 'ä', 'Z'])}${n % 6}@x`,
      n % 8 === 0 ? null : one(['1970-01-01', '2000-02-29', '0001-01-01 BC', 'infinity', '1970-01-01']),
      one(['t', 'f', null]),
      one(['0', '0.0', '-0.000', '12345678901234567890.123456789', '1e-20', 'NaN', '100', null]),
      one(['sad', 'fine', 'happy', null]),
    ])}`,
    `INSERT INTO orders VALUES ${rows(220, n => [
      n % 40,
      n,
      n % 11 === 0 ? null : n % 9,
      n % 13 === 0 ? null : ((n * 37) % 1000) / 16,
      one(rates),
      one(times),
      one(['{}', '{a}', '{a,b}', '{NULL,"x y"}', null]),
      one(['{"n": 1}', '{"n": 1.0, "m": null}', '[1, 2]', '"x"', 'null', null]),
      one(['abc', 'abc   ', 'ABC', 'b', null]),
    ])}`,
    `INSERT INTO lines VALUES ${rows(300, n => [n % 40, (n % 220) - ((n % 220) % 40) + (n % 40) < 220 ? Math.floor((n % 220) / 40) * 40 + (n % 40) : n % 40, Math.floor(n / 220) + 1, n % 5 === 0 ? 0 : n % 7, n % 6 === 0 ? null : `note ${n % 10}`])} ON CONFLICT DO NOTHING`,
    `INSERT INTO events VALUES ${rows(60, n => [n * 5 - 100, one(['tick', 'TICK', 'tock', null]), one(['0.1', '1e10', '-0', 'NaN', null]), one(['\\x00ff', '\\x', '\\xdeadbeef', null])])}`,
    `INSERT INTO tenants VALUES ${rows(30, n => [['eu', 'us', 'US', 'Ümlaut', 'asia', 'e u'][n % 6] as string, `t${n % 10}${n}`, n % 7 === 0 ? null : n * 1_000_000_007])}`,
    `INSERT INTO accounts VALUES ${rows(25, n => [`acc-${n % 5}-${n}`, n * 10.25, n % 4 === 0 ? null : `it's ${n}`])}`,
    `INSERT INTO things VALUES ${rows(30, n => [`00000000-0000-4000-8000-${String(n).padStart(12, '0')}`, `thing ${n % 4}`, n % 3 === 0 ? null : `00000000-0000-4000-8000-${String(n >> 1).padStart(12, '0')}`])}`,
    `INSERT INTO pairs VALUES ${rows(40, n => ['xyzé'[n % 4] as string, n, n % 5 === 0 ? null : `v${n % 3}`])}`,
    `INSERT INTO settings VALUES ('theme', 'dark'), ('limit', '10'), ('empty', NULL)`,
    ...Array.from(
      { length: 12 },
      (_, n) => `INSERT INTO log VALUES ('line ${n % 4}', ${n % 3}, '2026-01-0${(n % 9) + 1} 0${n % 10}:00')`,
    ),
  ]
}
