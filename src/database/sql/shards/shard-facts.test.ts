import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { loadModule, parseSync } from 'libpg-query'
import type { Tree } from '../tree.ts'
import { type KeySource, type ShardFacts, type ShardRules, shardFacts } from './index.ts'

before(() => loadModule())

const sharded = (columns: readonly string[], group: string) => ({ kind: 'sharded' as const, columns, group })
const everywhere = { kind: 'everywhere' as const, columns: [], group: '' }
const tables: Readonly<Record<string, Omit<NonNullable<ReturnType<ShardRules['table']>>, 'name'>>> = {
  orders: sharded(['customer'], 'customer'),
  lines: sharded(['customer'], 'customer'),
  visits: sharded(['region', 'customer'], 'region'),
  calls: sharded(['region', 'customer'], 'region'),
  tickets: sharded(['seat'], 'seat'),
  films: everywhere,
  countries: everywhere,
  archive: { kind: 'elsewhere', columns: [], group: '' },
}
const columns: Readonly<Record<string, readonly string[]>> = {
  orders: ['id', 'customer', 'film', 'total'],
  lines: ['id', 'customer', 'order_id', 'amount'],
  visits: ['region', 'customer', 'at'],
  calls: ['region', 'customer', 'at'],
  tickets: ['seat', 'film'],
  films: ['id', 'title'],
  countries: ['id', 'name'],
}
const aggregates = new Set(['count', 'sum', 'min', 'max', 'avg', 'array_agg', 'string_agg'])

function rules(known: boolean): ShardRules {
  return {
    table: name => {
      const rule = tables[name.replace(/^public\./, '')]
      return rule === undefined ? null : { name, ...rule }
    },
    columns: name => (known ? (columns[name] ?? null) : null),
    isAggregate: name => aggregates.has(name),
  }
}

function look(sql: string, known = true): ShardFacts {
  const tree = parseSync(sql) as unknown as { stmts: { stmt: Tree }[] }
  const facts = shardFacts(tree.stmts[0]!.stmt, rules(known))
  assert.ok(facts !== null, sql)
  return facts
}

const word = (source: KeySource): string =>
  source.kind === 'text'
    ? source.text + (source.cast && `::${source.cast}`)
    : `$${source.number}${source.kind === 'elements' ? '[]' : ''}`

/** `orders=5 lines=?`: each use with its pins. */
function pins(sql: string, known = true): string {
  return look(sql, known)
    .uses.map(use => `${use.table}=${use.pins.map(one => one?.map(word).join('|') ?? '?').join(',')}`)
    .join(' ')
}

const pinned: readonly (readonly [string, string])[] = [
  ['SELECT * FROM orders WHERE customer = 5', 'orders=5'],
  ['SELECT * FROM orders WHERE 5 = customer AND total > 3', 'orders=5'],
  ['SELECT * FROM public.orders WHERE customer = $1', 'public.orders=$1'],
  ["SELECT * FROM orders o WHERE o.customer = '5'::bigint", 'orders=5::int8'],
  ['SELECT * FROM orders WHERE customer = -7', 'orders=-7'],
  ['SELECT * FROM orders WHERE customer IN (1, $2, 3)', 'orders=1|$2|3'],
  ['SELECT * FROM orders WHERE customer = ANY($1)', 'orders=$1[]'],
  ['SELECT * FROM orders WHERE customer = ANY($1::bigint[])', 'orders=$1[]'],
  ['SELECT * FROM orders WHERE customer = ANY(ARRAY[1,2])', 'orders=1|2'],
  ['SELECT * FROM orders WHERE customer = 1 OR customer = 2', 'orders=1|2'],
  ['SELECT * FROM orders WHERE customer IN (1,2,3) AND customer = 2', 'orders=2'],
  ['SELECT * FROM visits WHERE (region, customer) = ($1, 7)', 'visits=$1,7'],
  ['SELECT * FROM orders o JOIN lines l ON l.customer = o.customer WHERE o.customer = 5', 'orders=5 lines=5'],
  ['SELECT * FROM orders o JOIN lines l USING (customer) WHERE customer = 5', 'orders=5 lines=5'],
  ['SELECT * FROM orders o, lines l WHERE o.customer = l.customer AND l.customer = $1', 'orders=$1 lines=$1'],
  ['SELECT * FROM orders o JOIN lines l ON l.customer = o.customer AND l.customer = 4', 'orders=4 lines=4'],
  // An outer join's condition restricts the side that may be missing, not the one that is kept.
  [
    'SELECT * FROM orders o LEFT JOIN lines l ON l.customer = o.customer AND l.customer = 4',
    'orders=? lines=4',
  ],
  [
    'SELECT * FROM orders o LEFT JOIN lines l ON l.customer = o.customer AND o.customer = 4',
    'orders=? lines=?',
  ],
  [
    'SELECT * FROM orders o LEFT JOIN lines l ON l.customer = o.customer WHERE o.customer = 4',
    'orders=4 lines=4',
  ],
  [
    'SELECT * FROM orders o LEFT JOIN lines l ON l.customer = o.customer WHERE l.customer = 4',
    'orders=? lines=4',
  ],
  [
    'SELECT * FROM orders o RIGHT JOIN lines l ON l.customer = o.customer WHERE l.customer = 4',
    'orders=4 lines=4',
  ],
  [
    'SELECT * FROM orders o FULL JOIN lines l ON l.customer = o.customer AND o.customer = 4',
    'orders=? lines=?',
  ],
  // What is said in a query inside holds there; what is said outside comes in along the key.
  [
    'SELECT * FROM orders o WHERE customer = 5 AND EXISTS (SELECT 1 FROM lines l WHERE l.customer = o.customer)',
    'orders=5 lines=5',
  ],
  [
    'SELECT * FROM orders o WHERE NOT EXISTS (SELECT 1 FROM lines l WHERE l.customer = o.customer AND l.customer = 5)',
    'orders=? lines=5',
  ],
  [
    'SELECT * FROM orders WHERE customer IN (SELECT customer FROM lines WHERE customer = 5)',
    'orders=5 lines=5',
  ],
  [
    'SELECT * FROM orders WHERE customer = 5 AND customer IN (SELECT customer FROM lines)',
    'orders=5 lines=5',
  ],
  [
    'SELECT * FROM orders WHERE customer = 5 AND customer IN (SELECT customer FROM lines LIMIT 3)',
    'orders=5 lines=?',
  ],
  ['SELECT * FROM (SELECT * FROM orders) s WHERE s.customer = 5', 'orders=5'],
  ['SELECT * FROM (SELECT customer AS c, total FROM orders) s WHERE c = 5', 'orders=5'],
  ['SELECT * FROM (SELECT customer, total FROM orders) AS s (a, b) WHERE a = 5', 'orders=5'],
  [
    'SELECT * FROM (SELECT customer, count(*) FROM orders GROUP BY customer) s WHERE customer = 5',
    'orders=5',
  ],
  // Rows of other keys would take the place of those that a LIMIT leaves.
  ['SELECT * FROM (SELECT * FROM orders LIMIT 10) s WHERE s.customer = 5', 'orders=?'],
  [
    'SELECT * FROM (SELECT * FROM (SELECT * FROM orders ORDER BY id LIMIT 10) t) s WHERE s.customer = 5',
    'orders=?',
  ],
  ['SELECT * FROM (SELECT max(customer) AS customer FROM orders) s WHERE s.customer = 5', 'orders=?'],
  [
    'WITH q AS (SELECT * FROM orders) SELECT * FROM q JOIN lines l ON l.customer = q.customer WHERE l.customer = 2',
    'orders=2 lines=2',
  ],
  [
    'WITH q (a, b) AS (SELECT customer, id FROM orders WHERE customer = 2) SELECT * FROM q JOIN lines ON a = lines.customer',
    'orders=2 lines=2',
  ],
  [
    'SELECT * FROM (SELECT customer FROM orders UNION ALL SELECT customer FROM lines) u WHERE customer = 3',
    'orders=3 lines=3',
  ],
  [
    'SELECT customer FROM orders WHERE customer = 1 UNION SELECT customer FROM lines WHERE customer = 1',
    'orders=1 lines=1',
  ],
  // Nothing certain.
  ['SELECT * FROM orders WHERE customer = 5 OR total = 3', 'orders=?'],
  ['SELECT * FROM orders WHERE NOT customer = 5', 'orders=?'],
  ['SELECT * FROM orders WHERE customer > 5', 'orders=?'],
  ['SELECT * FROM orders WHERE customer::text = $1', 'orders=?'],
  ['SELECT * FROM orders WHERE customer = total', 'orders=?'],
  ['SELECT * FROM orders WHERE customer = $1 + 1', 'orders=?'],
  ["SELECT * FROM orders WHERE customer = 'abcd'::varchar(3)", 'orders=?'],
  ['SELECT * FROM orders WHERE customer <> ALL(ARRAY[1])', 'orders=?'],
  ['SELECT * FROM orders a, orders b WHERE customer = 5', 'orders=? orders=?'],
  ['UPDATE orders SET total = 3 WHERE customer = 5', 'orders=5'],
  [
    'UPDATE orders o SET total = l.amount FROM lines l WHERE l.customer = o.customer AND o.customer = $2',
    'orders=$2 lines=$2',
  ],
  ['DELETE FROM lines l USING orders o WHERE o.customer = l.customer AND o.customer = 8', 'lines=8 orders=8'],
]

test('values that a key is compared with are found where they hold, and only there', () => {
  for (const [sql, expected] of pinned) assert.equal(pins(sql), expected, sql)
})

test('without the catalogue a bare column is believed to be nothing where another table might have it', () => {
  assert.equal(pins('SELECT * FROM orders, films WHERE orders.customer = 5', false), 'orders=5')
  assert.equal(
    pins('SELECT * FROM orders WHERE film IN (SELECT id FROM films WHERE customer = 5)', false),
    'orders=?',
  )
  assert.equal(
    pins('SELECT * FROM orders WHERE film IN (SELECT id FROM films WHERE customer = 5)', true),
    'orders=?',
  )
})

const spreads: readonly (readonly [string, string])[] = [
  ['SELECT 1', 'replicated'],
  ['SELECT * FROM films f JOIN countries c ON c.id = f.id', 'replicated'],
  ['VALUES (1), (2)', 'replicated'],
  ['SELECT * FROM orders', 'complete'],
  ['SELECT * FROM orders ORDER BY id', 'complete'],
  ['SELECT * FROM orders JOIN films ON films.id = orders.film', 'complete'],
  ['SELECT * FROM orders LEFT JOIN films ON films.id = orders.film', 'complete'],
  ['SELECT * FROM orders o JOIN lines l ON l.customer = o.customer AND l.order_id = o.id', 'complete'],
  ['SELECT * FROM orders o FULL JOIN lines l ON l.customer = o.customer', 'complete'],
  ['SELECT customer, sum(total) FROM orders GROUP BY customer', 'complete'],
  ['SELECT customer AS c, sum(total) FROM orders GROUP BY 1', 'complete'],
  ['SELECT customer AS c, sum(total) FROM orders GROUP BY c HAVING sum(total) > 3', 'complete'],
  ['SELECT DISTINCT customer, film FROM orders', 'complete'],
  ['SELECT DISTINCT ON (customer) * FROM orders', 'complete'],
  ['SELECT rank() OVER (PARTITION BY customer ORDER BY total) FROM orders', 'complete'],
  ['SELECT rank() OVER w FROM orders WINDOW w AS (PARTITION BY film, customer)', 'complete'],
  ['SELECT * FROM visits v JOIN calls c USING (region, customer)', 'complete'],
  ['SELECT customer FROM orders UNION ALL SELECT customer FROM lines', 'complete'],
  ['SELECT customer FROM orders UNION SELECT customer FROM lines', 'complete'],
  ['SELECT customer FROM orders EXCEPT SELECT customer FROM lines', 'complete'],
  ['SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM lines l WHERE l.customer = o.customer)', 'complete'],
  ['SELECT *, (SELECT count(*) FROM lines l WHERE l.customer = o.customer) FROM orders o', 'complete'],
  [
    'SELECT * FROM orders o, LATERAL (SELECT * FROM lines l WHERE l.customer = o.customer ORDER BY id LIMIT 1) x',
    'complete',
  ],
  ['SELECT * FROM orders WHERE customer IN (SELECT customer FROM lines)', 'complete'],
  ['SELECT * FROM orders WHERE film IN (SELECT id FROM films)', 'complete'],
  [
    'SELECT s.* FROM (SELECT customer, count(*) AS n FROM orders GROUP BY customer) s JOIN lines l ON l.customer = s.customer',
    'complete',
  ],
  ['WITH q AS (SELECT * FROM orders) SELECT * FROM q', 'complete'],
  ['SELECT * FROM orders o, generate_series(1, 3)', 'complete'],
  // The answers of the shards need more than to be put together.
  ['SELECT count(*) FROM orders', 'partitioned: it counts or adds up over all rows'],
  [
    'SELECT film, count(*) FROM orders GROUP BY film',
    'partitioned: it groups by something else than the key',
  ],
  ['SELECT DISTINCT film FROM orders', 'partitioned: it wants distinct rows without the key'],
  ['SELECT * FROM orders LIMIT 5', 'partitioned: it has a LIMIT or OFFSET'],
  ['SELECT rank() OVER (ORDER BY total) FROM orders', 'partitioned: a window goes over rows of other keys'],
  [
    'SELECT region, count(*) FROM visits GROUP BY region',
    'partitioned: it groups by something else than the key',
  ],
  // Keys that an outer join made NULL are on every shard.
  [
    'SELECT l.customer, count(*) FROM orders o LEFT JOIN lines l ON l.customer = o.customer GROUP BY l.customer',
    'partitioned: it groups by something else than the key',
  ],
  // Rows of different shards meet.
  ['SELECT * FROM orders o JOIN tickets t ON t.film = o.film', 'mixed'],
  ['SELECT * FROM orders o JOIN tickets t ON t.seat = o.customer', 'mixed'],
  ['SELECT * FROM orders o JOIN lines l ON l.order_id = o.id', 'mixed'],
  ['SELECT * FROM visits v JOIN calls c USING (region)', 'mixed'],
  ['SELECT * FROM films f LEFT JOIN orders o ON o.film = f.id', 'mixed'],
  ['SELECT * FROM orders o FULL JOIN films f ON o.film = f.id', 'mixed'],
  ['SELECT title FROM films UNION ALL SELECT film::text FROM orders', 'mixed'],
  ['SELECT film FROM orders UNION SELECT order_id FROM lines', 'mixed'],
  ['SELECT * FROM films WHERE id IN (SELECT film FROM orders)', 'mixed'],
  ['SELECT * FROM films f WHERE EXISTS (SELECT 1 FROM orders o WHERE o.film = f.id)', 'mixed'],
  ['SELECT *, (SELECT count(*) FROM lines) FROM orders', 'mixed'],
  ['SELECT (SELECT count(*) FROM orders)', 'mixed'],
  ['SELECT * FROM orders WHERE total > (SELECT avg(total) FROM orders)', 'mixed'],
  ['SELECT * FROM (SELECT * FROM orders LIMIT 5) s', 'mixed'],
  ['SELECT avg(n) FROM (SELECT film, count(*) AS n FROM orders GROUP BY film) s', 'mixed'],
  ['SELECT * FROM orders WHERE customer IN (SELECT customer FROM lines LIMIT 5)', 'mixed'],
  ['SELECT * FROM orders o FULL JOIN lines l ON o.customer = o.customer', 'mixed'],
  [
    'WITH RECURSIVE t AS (SELECT id, customer FROM orders UNION ALL SELECT o.id, o.customer FROM orders o JOIN t ON t.id = o.film) SELECT * FROM t',
    'mixed',
  ],
  ['UPDATE orders o SET total = t.seat FROM tickets t WHERE t.film = o.film', 'mixed'],
  ['UPDATE films SET title = o.film::text FROM orders o WHERE o.film = films.id', 'mixed'],
  ['INSERT INTO films SELECT film, film::text FROM orders', 'mixed'],
  ['INSERT INTO orders (id, customer) SELECT id, id FROM films', 'mixed'],
  ['INSERT INTO lines (customer, id) SELECT id, customer FROM orders', 'mixed'],
  ['INSERT INTO lines (customer, id) SELECT customer, id FROM orders', 'complete'],
  ['INSERT INTO lines SELECT id, customer, id, 3 FROM orders', 'complete'],
  ['DELETE FROM orders', 'complete'],
  ['UPDATE orders SET total = 0 WHERE film IN (SELECT id FROM films)', 'complete'],
]

test('how the rows of a query are spread is found, and why they are not', () => {
  for (const [sql, expected] of spreads) {
    const { spread, complete, why } = look(sql)
    const said =
      expected.startsWith('partitioned') && spread === 'partitioned'
        ? `partitioned: ${why}`
        : spread === 'partitioned' && complete
          ? 'complete'
          : spread
    assert.equal(said, expected, `${sql} (${why})`)
    if (spread === 'mixed') assert.notEqual(why, '', sql)
  }
})

test('the keys of new rows are taken from where the statement has them', () => {
  const keys = (sql: string, known = true) =>
    look(sql, known).insert?.rows.map(row =>
      row.map(one => (one === undefined ? 'left out' : one === null ? 'computed' : word(one))).join(),
    )
  assert.deepEqual(
    keys('INSERT INTO orders (id, customer) VALUES (1, 5), (2, $1), (3, DEFAULT), (4, f(1))'),
    ['5', '$1', 'left out', 'computed'],
  )
  assert.deepEqual(keys('INSERT INTO orders VALUES (1, 7)'), ['7'])
  assert.deepEqual(keys('INSERT INTO orders VALUES (1, 7)', false), ['computed'])
  assert.deepEqual(keys('INSERT INTO orders (id) VALUES (1)'), ['left out'])
  assert.deepEqual(keys('INSERT INTO orders DEFAULT VALUES'), ['left out'])
  assert.deepEqual(keys('INSERT INTO visits (customer, region) VALUES (1, 2)'), ['2,1'])
  assert.equal(keys('INSERT INTO films VALUES (1)'), undefined)
})

test('what is written, what is elsewhere and what nobody named are told', () => {
  assert.deepEqual(look('UPDATE films SET title = $1').writesEverywhere, ['films'])
  assert.deepEqual(look('DELETE FROM orders WHERE customer = 1').writesSharded, ['orders'])
  assert.deepEqual(look('SELECT * FROM archive JOIN orders ON true').elsewhere, ['archive'])
  assert.deepEqual(look('SELECT * FROM secrets').unnamed, ['secrets'])
  assert.deepEqual(look('INSERT INTO secrets VALUES (1)').unnamed, ['secrets'])
  assert.deepEqual(look('SELECT * FROM pg_class').unnamed, [])
  assert.equal(look('UPDATE orders SET customer = 3 WHERE customer = 2').movesRows, true)
  assert.equal(look('UPDATE orders SET total = 3 WHERE customer = 2').movesRows, false)
  assert.match(
    look('WITH d AS (DELETE FROM orders WHERE customer = 1 RETURNING *) SELECT * FROM d').oneShardOnly,
    /changes data/,
  )
  assert.equal(
    pins(
      'WITH d AS (DELETE FROM orders WHERE customer = 1 RETURNING *) INSERT INTO lines (customer) SELECT customer FROM d',
    ),
    'orders=1 lines=1',
  )
})
