// Who may log in, with what rights: Tenfold's own roles and one a service. Passwords are made here and kept in one file
// that only we can read; servers get SCRAM verifiers, never a password in clear. Rights hang on three groups of the
// database (owner, write, read), so that what one service makes is everybody's according to his access.

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { textOf, writeOwned } from '../../io/owned-files.ts'
import { Failure } from '../../kit/failure.ts'
import type { Access, DatabaseRole } from '../contract.ts'
import { databaseFailures } from '../failures.ts'

export const superuser = 'tenfold'
export const monitorUser = 'tenfold_monitor'
export const replicationUser = 'tenfold_replication'
const passwordBytes = 32
/** PostgreSQL's own count; a random password of 256 bits needs no more. */
const scramIterations = 4096

interface RolesFile {
  readonly format: 1
  /** Password by role. Services that were removed keep theirs, so that a mistake in the file can be taken back. */
  readonly passwords: Readonly<Record<string, string>>
}

/** Reads or makes the file; adds passwords for roles that are new. @param must it exist: there is data already */
export function keptRoles(
  path: string,
  access: Readonly<Record<string, Access>>,
  must: boolean,
): readonly DatabaseRole[] {
  const known = readRoles(path, must)
  const passwords: Record<string, string> = { ...known }
  const role = (name: string, rights: Access, service: string | null): DatabaseRole => {
    passwords[name] ??= randomBytes(passwordBytes).toString('base64url')
    return { name, password: passwords[name], access: rights, service }
  }
  const roles = [
    role(superuser, 'owner', null),
    role(monitorUser, 'read', null),
    role(replicationUser, 'read', null),
    ...Object.entries(access).map(([service, rights]) => role(roleOf(service), rights, service)),
  ]
  if (Object.keys(passwords).length !== Object.keys(known).length) {
    const file: RolesFile = { format: 1, passwords }
    writeOwned(path, `${JSON.stringify(file, null, 2)}\n`, 0o600, null)
  }
  return roles
}

export function roleOf(service: string): string {
  return `svc_${service}`
}

function readRoles(path: string, must: boolean): Readonly<Record<string, string>> {
  const text = textOf(path)
  if (text === null && !must) return {}
  try {
    const { format, passwords } = JSON.parse(text ?? '') as RolesFile
    if (format === 1 && typeof passwords[superuser] === 'string') return passwords
  } catch {
    // Told below.
  }
  throw new Failure(
    databaseFailures.rolesUnusable,
    `${path} ${text === null ? 'is gone' : 'is damaged'}; it holds the passwords of the roles of this database's servers.`,
  )
}

/** RFC 5803's form, as PostgreSQL keeps it. Passwords here are ASCII, so nothing is left to normalise. */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, scramIterations, 32, 'sha256')
  const keyed = (text: string): Buffer => createHmac('sha256', salted).update(text).digest()
  const stored = createHash('sha256').update(keyed('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${scramIterations}:${salt.toString('base64')}$${stored}:${keyed('Server Key').toString('base64')}`
}

/** Changes when what `roleSql` would do changes. */
export function rolesFingerprint(database: string, roles: readonly DatabaseRole[]): string {
  const said = JSON.stringify([
    rightsVersion,
    database,
    roles.map(({ name, password, access }) => [name, password, access]),
  ])
  return createHash('sha256').update(said).digest('base64url')
}

/** Grows when the statements below change. */
const rightsVersion = 1

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function literal(text: string): string {
  const plain = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${plain.replaceAll('\\', '\\\\')}` : plain
}

/** In the maintenance database: our own schema and everybody's role. May be run any number of times. */
export function roleSql(database: string, roles: readonly DatabaseRole[]): string {
  const groups = groupsOf(database)
  const db = identifier(database)
  return [
    ...Object.values(groups).map(group => madeRole(group, 'NOLOGIN')),
    ...roles.map(role => madeRole(role.name, attributes(role))),
    `GRANT pg_monitor TO ${monitorUser}`,
    `ALTER DATABASE ${db} OWNER TO ${identifier(groups.owner)}`,
    // Services reach their database and no other.
    `REVOKE ALL ON DATABASE ${db} FROM PUBLIC`,
    'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC',
    'REVOKE CONNECT ON DATABASE template1 FROM PUBLIC',
    `GRANT CONNECT ON DATABASE postgres TO ${monitorUser}, ${replicationUser}`,
    `GRANT CONNECT ON DATABASE ${db} TO ${monitorUser}, ${replicationUser}`,
    `GRANT CONNECT, TEMPORARY ON DATABASE ${db} TO ${Object.values(groups).map(identifier).join(', ')}`,
    ...roles.flatMap(role => membershipSql(database, role)),
    formerSql(roles),
  ].join(';\n')
}

export function groupsOf(database: string): Readonly<Record<Access, string>> {
  return { owner: `${database}_owner`, write: `${database}_write`, read: `${database}_read` }
}

function attributes(role: DatabaseRole): string {
  const rights = role.name === superuser ? 'SUPERUSER' : role.name === replicationUser ? 'REPLICATION' : ''
  return `LOGIN ${rights} PASSWORD ${literal(scramVerifier(role.password))}`
}

/** There is no CREATE ROLE IF NOT EXISTS. */
function madeRole(name: string, having: string): string {
  const create = literal(`CREATE ROLE ${identifier(name)}`)
  const made = `DO $made$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(name)}) THEN EXECUTE ${create}; END IF; END $made$`
  return `${made};\nALTER ROLE ${identifier(name)} ${having}`
}

function membershipSql(database: string, role: DatabaseRole): string[] {
  if (role.service === null) return []
  const groups = groupsOf(database)
  const name = identifier(role.name)
  const group = identifier(groups[role.access])
  const others = Object.values(groups).filter(one => one !== groups[role.access])
  return [
    ...others.map(other => `REVOKE ${identifier(other)} FROM ${name}`),
    `GRANT ${group} TO ${name} WITH INHERIT TRUE, SET TRUE`,
    // What an owner makes belongs to the group: the next owner may change it, the others get their rights on it.
    role.access === 'owner'
      ? `ALTER ROLE ${name} IN DATABASE ${identifier(database)} SET role = ${literal(groups.owner)}`
      : `ALTER ROLE ${name} IN DATABASE ${identifier(database)} RESET role`,
  ]
}

/** Services whose access is about to be another: sessions that began as members of a group keep its rights. */
export function changingSql(database: string, roles: readonly DatabaseRole[]): string {
  const groups = groupsOf(database)
  const services = roles.filter(role => role.service !== null)
  const pairs = services.map(role => `(${literal(role.name)}, ${literal(groups[role.access])})`).join(', ')
  const all = Object.values(groups).map(literal).join(', ')
  return `SELECT DISTINCT member.rolname FROM pg_auth_members
JOIN pg_roles AS member ON member.oid = pg_auth_members.member JOIN pg_roles AS had ON had.oid = roleid
WHERE had.rolname IN (${all}) AND member.rolname IN (${services.map(role => literal(role.name)).join(', ') || 'NULL'})
  AND (member.rolname, had.rolname) NOT IN (${pairs || '(NULL, NULL)'})`
}

/** After the change: they log in anew, as what they are now. */
export function putOutSql(names: readonly string[]): string {
  return `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN (${names.map(literal).join(', ')})`
}

/** Roles of services that are no longer there: no login, and who is in is put out. */
function formerSql(roles: readonly DatabaseRole[]): string {
  const present = roles.map(role => literal(role.name)).join(', ')
  return `DO $former$ DECLARE former record; BEGIN
FOR former IN SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'svc_') AND rolcanlogin AND rolname NOT IN (${present}) LOOP
  EXECUTE format('ALTER ROLE %I NOLOGIN', former.rolname);
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = former.rolname;
END LOOP; END $former$`
}

/** In the database itself: what the groups may do, now and with what will be made. */
export function rightsSql(database: string): string {
  const { owner, write, read } = groupsOf(database)
  const [o, w, r] = [owner, write, read].map(identifier) as [string, string, string]
  const defaults = `ALTER DEFAULT PRIVILEGES FOR ROLE ${o}`
  return [
    `ALTER SCHEMA public OWNER TO ${o}`,
    'REVOKE ALL ON SCHEMA public FROM PUBLIC',
    `${defaults} GRANT USAGE ON SCHEMAS TO ${w}, ${r}`,
    `${defaults} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${w}`,
    `${defaults} GRANT SELECT ON TABLES TO ${r}`,
    `${defaults} GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO ${w}`,
    `${defaults} GRANT SELECT ON SEQUENCES TO ${r}`,
    // What is there already: a restored or changed database.
    `DO $rights$ DECLARE place record; BEGIN
FOR place IN SELECT nspname FROM pg_namespace WHERE nspname = 'public' OR nspowner = ${literal(owner)}::regrole LOOP
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I, %I', place.nspname, ${literal(write)}, ${literal(read)});
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', place.nspname, ${literal(write)});
  EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', place.nspname, ${literal(read)});
  EXECUTE format('GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA %I TO %I', place.nspname, ${literal(write)});
  EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', place.nspname, ${literal(read)});
END LOOP; END $rights$`,
    'CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA public',
  ].join(';\n')
}

/** Ours, in the maintenance database: the tiny write of each look, and what was applied last. */
export const ownSchemaSql: string = [
  'CREATE SCHEMA IF NOT EXISTS tenfold',
  'CREATE TABLE IF NOT EXISTS tenfold.heartbeat (id int PRIMARY KEY, at timestamptz NOT NULL)',
  'CREATE TABLE IF NOT EXISTS tenfold.applied (name text PRIMARY KEY, value text NOT NULL)',
  `GRANT USAGE ON SCHEMA tenfold TO ${monitorUser}`,
  `GRANT SELECT ON ALL TABLES IN SCHEMA tenfold TO ${monitorUser}`,
].join(';\n')

export const heartbeatSql: string =
  'INSERT INTO tenfold.heartbeat (id, at) VALUES (1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET at = excluded.at'
