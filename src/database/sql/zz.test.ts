import { test } from 'node:test'
import { Client } from 'pg'
import { startPostgres } from '../../../test/tools/postgres-server.ts'
import { createStatementBook, loadParser, readCatalogue } from './index.ts'
test('x', async t => {
  await loadParser()
  const s = await startPostgres(t)
  const c = new Client({ connectionString: s.url }); await c.connect()
  await c.query(`create table a(id int, b text); create unlogged table u(x int); create sequence sq; create view v1 as select nextval('sq') n; create view v2 as select * from v1; create view v3 as select * from a;
  create function calm1(int) returns int language sql stable as 'select 1'; create function vol(int) returns int language sql as 'select 1'; create function vol(text) returns int language sql stable as 'select 1';
  create domain d1 as int check (value > 0); create domain d2 as int check (vol(value) > 0); create view v4 as select 'a'::text, current_database(), 5::d1, calm1(2), now();
  create function leak() returns void language plpgsql as $$ begin perform set_config('a.b','c',false); update a set b = 'x'; end $$; create function noleak() returns void language plpgsql as $$ begin perform set_config('a.b','c',true); update a set b = 'x' where id = 5; set local work_mem = '5MB'; end $$;
  create table rls(x int); alter table rls enable row level security; create policy p on rls using (vol(x) = 1); create table rls2(x int); alter table rls2 enable row level security; create policy p on rls2 using (current_setting('app.user', true) = 'x');
  create table par(x int); create unlogged table chi() inherits (par); create extension pg_stat_statements`)
  for (let i = 0; i < 3; i++) {
  const t0 = performance.now(); const u0 = process.cpuUsage()
  const cat = await readCatalogue(async sql => (await c.query<string[]>({ text: sql, rowMode: 'array' } as never)).rows as never)
  const u = process.cpuUsage(u0)
  console.log('ms', performance.now() - t0, 'cpu', (u.user+u.system)/1000, cat.calm.size, [...cat.unsafeRelations], cat.pinning, cat.asynchronousCommit)
  if (i) continue
  const b = createStatementBook(); b.learn(cat)
  for (const q of ['select * from v1', 'select * from v2', 'select * from v3','select * from v4','select calm1(1), now(), random(), lower(b), count(*), a+b, 1::d1, 1::public.d1 from a', 'select vol(1)','select 1::d2','select * from rls','select * from rls2','select * from par','select leak()','select noleak()','call leak()','select * from pg_stat_statements', 'select current_setting($1)', 'select * from information_schema.columns', 'select sum(a), string_agg(a,b), row_number() over () from a', 'select pg_catalog.lower(x), extract(year from now())']) { const i = b.look(q); console.log(q.slice(0,80), '=>', i.readOnly?'READ':'', i.mayWrite?'WRITE':'', i.kind, i.why, i.pins) }
  }
  await c.end()
})
