// Reads over customers, orders and films of several shards, of each kind that the planner tells apart.

export const reads: readonly [text: string, values?: readonly unknown[]][] = [
  ['SELECT * FROM orders'],
  ['SELECT * FROM orders WHERE price > $1', [30]],
  ['SELECT id, name FROM customers ORDER BY name COLLATE "C" DESC NULLS FIRST, id'],
  ['SELECT number, price FROM orders ORDER BY price DESC, number LIMIT 7 OFFSET 3'],
  ['SELECT number FROM orders ORDER BY at NULLS FIRST, number LIMIT $1 OFFSET $2', [5, 12]],
  ['SELECT * FROM orders ORDER BY price NULLS FIRST, number'],
  ['SELECT *, id + 1 AS more FROM customers ORDER BY born DESC LIMIT 4'],
  ['SELECT number AS price, price AS number FROM orders ORDER BY price LIMIT $1', [9]],
  ['SELECT number + 0 AS at FROM orders ORDER BY at DESC LIMIT 9'],
  ['SELECT extra, number FROM orders ORDER BY 2 DESC OFFSET 190'],
  [
    'SELECT number IS DISTINCT FROM 3, (number) FROM orders o ORDER BY o.at DESC NULLS LAST, o.number FETCH FIRST 5 ROWS ONLY',
  ],
  [
    'SELECT c.name, o.number FROM customers c JOIN orders o ON o.customer = c.id ORDER BY o.price DESC, o.number LIMIT 6 OFFSET 2',
  ],
  ['SELECT number FROM orders ORDER BY number LIMIT NULL OFFSET NULL'],
  ['SELECT number FROM orders ORDER BY number LIMIT $1', [-1]],
  ['SELECT number FROM orders ORDER BY number LIMIT $1 OFFSET $2', [null, 195]],
  ['SELECT customer FROM orders WHERE customer IN (1, 2, 3) ORDER BY number DESC LIMIT 3'],
  ['SELECT count(*) FROM (SELECT number FROM orders LIMIT 7) AS few'],
  ['SELECT count(*), sum(price), avg(price), min(at), max(number), stddev(price) FROM orders'],
  ['SELECT film, count(*), sum(price) FROM orders GROUP BY film HAVING count(*) > 3 ORDER BY film'],
  ['SELECT DISTINCT tags, extra FROM orders ORDER BY tags, extra'],
  [
    'SELECT c.name, f.title, sum(o.price) FROM customers c JOIN orders o ON o.customer = c.id JOIN films f ON f.id = o.film GROUP BY c.name, f.title ORDER BY 1 NULLS FIRST, 2',
  ],
  ['SELECT c.id, (SELECT count(*) FROM orders o WHERE o.customer = c.id) FROM customers c ORDER BY c.id'],
  [
    'SELECT id FROM customers WHERE NOT EXISTS (SELECT FROM orders WHERE customer = id AND film = $1) ORDER BY id',
    [3],
  ],
  [
    'WITH best AS (SELECT film, rank() OVER (ORDER BY sum(price) DESC, film) AS place FROM orders GROUP BY film) SELECT * FROM best ORDER BY place',
  ],
  ['SELECT string_agg(name, $1 ORDER BY id) FROM customers', [', ']],
  [
    'SELECT array_agg(DISTINCT film ORDER BY film), json_agg(number ORDER BY number) FROM orders WHERE number < 20',
  ],
  ['SELECT id FROM customers UNION SELECT number FROM orders ORDER BY 1'],
  ['SELECT * FROM customers a FULL JOIN customers b ON a.id = b.id + 20 ORDER BY a.id, b.id'],
  [
    'SELECT film, number, GROUPING(film) FROM orders WHERE number < 9 GROUP BY ROLLUP (film, number) ORDER BY 1 NULLS LAST, 2 NULLS LAST',
  ],
  ['SELECT id FROM customers WHERE id IN (1, 2, 3, 99) ORDER BY id'],
  ['SELECT id FROM customers WHERE id = ANY($1) ORDER BY id', [[5, 6, 7]]],
  ['SELECT 1 / (id - 3) FROM customers'],
  ['SELECT nothing FROM customers'],
]
