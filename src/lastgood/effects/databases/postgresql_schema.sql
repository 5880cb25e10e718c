-- The fingerprint of a PostgreSQL database out of pg_catalog (manual, chapter 52).
-- Columns: kind, owner, name, definition, position.
-- VISIBLE leaves out system schemas, our own and temporary ones; FREE(catalog, alias) what belongs to an extension.
-- A query ends with a semicolon at the end of its line.

SELECT 'schema', '', n.nspname, coalesce(n.nspacl::text, ''), 0 FROM pg_namespace n WHERE VISIBLE
  AND n.nspname <> 'public' AND FREE(pg_namespace, n);

SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
  WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END, '', quote_ident(n.nspname) || '.' ||
  quote_ident(c.relname), concat_ws(' ', CASE c.relkind WHEN 'p' THEN 'partitioned by ' ||
  pg_get_partkeydef(c.oid) END, CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
  CASE c.relpersistence WHEN 'u' THEN 'unlogged' END, CASE WHEN c.relispartition THEN 'partition of ' ||
  (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid LIMIT 1) || ' ' ||
  pg_get_expr(c.relpartbound, c.oid) END, CASE WHEN c.relrowsecurity THEN 'row security' END, CASE
  WHEN c.relforcerowsecurity THEN 'forced' END, CASE
  WHEN c.relreplident NOT IN ('d', 'n') THEN 'replica ' || c.relreplident::text END, array_to_string(c.reloptions, ','),
  (SELECT
  concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)
  FROM pg_sequence s WHERE s.seqrelid = c.oid), (SELECT 'owned by ' || d.refobjid::regclass || '.' ||
  (SELECT attname FROM pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid) FROM pg_depend d
  WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
  AND d.refobjsubid > 0 LIMIT 1), (SELECT 'grants ' || string_agg(a::text, ',' ORDER BY a::text)
  FROM
  unnest(nullif(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner))) a), 'comment ' || obj_description(c.oid, 'pg_class')), 0 FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE VISIBLE
  AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND FREE(pg_class, c);

SELECT 'column', quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname,
  concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END, CASE
  WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END, CASE
  WHEN a.attgenerated <> '' THEN 'generated ' || a.attgenerated::text END, 'default ' ||
  pg_get_expr(d.adbin, d.adrelid), (SELECT 'collate ' || collname FROM pg_collation k, pg_type t
  WHERE k.oid = a.attcollation AND t.oid = a.atttypid AND t.typcollation <> k.oid), CASE
  WHEN a.attinhcount > 0 THEN 'inherited' END, array_to_string(a.attoptions, ','), (SELECT 'grants ' ||
  string_agg(g::text, ',' ORDER BY g::text) FROM unnest(a.attacl) g),
  'comment ' || col_description(c.oid, a.attnum)), row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT
  JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE VISIBLE
  AND c.relkind IN ('r', 'p', 'f', 'c', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND FREE(pg_class, c);

SELECT 'constraint', coalesce(quote_ident(n.nspname) || '.' || quote_ident(c.relname), ''), x.conname,
  concat_ws(' ', pg_get_constraintdef(x.oid), CASE WHEN NOT x.convalidated THEN 'not valid' END,
  'comment ' || obj_description(x.oid, 'pg_constraint')), 0 FROM pg_constraint x
  JOIN pg_class c ON c.oid = x.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE VISIBLE
  AND x.contype <> 't' AND x.conparentid = 0 AND FREE(pg_class, c);

SELECT 'index', quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(n.nspname) || '.' ||
  quote_ident(i.relname), concat_ws(' ', pg_get_indexdef(x.indexrelid), CASE
  WHEN NOT x.indisvalid THEN 'INVALID' END, CASE WHEN x.indisclustered THEN 'clustered' END,
  'comment ' || obj_description(i.oid, 'pg_class')), 0 FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE VISIBLE
  AND FREE(pg_class, c) AND NOT i.relispartition AND (NOT x.indisvalid OR NOT EXISTS (SELECT 1
  FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')));

SELECT 'trigger', quote_ident(n.nspname) || '.' || quote_ident(c.relname), t.tgname, concat_ws(' ',
  pg_get_triggerdef(t.oid), t.tgenabled), 0 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE VISIBLE AND NOT t.tgisinternal;

SELECT 'policy', quote_ident(n.nspname) || '.' || quote_ident(c.relname), p.polname,
  concat_ws(' ', p.polcmd, p.polpermissive, (SELECT string_agg(r::regrole::text, ',' ORDER BY 1)
  FROM unnest(p.polroles) r WHERE r <> 0), 'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' ||
  pg_get_expr(p.polwithcheck, p.polrelid)), 0 FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE VISIBLE;

SELECT 'rule', quote_ident(n.nspname) || '.' || quote_ident(c.relname), r.rulename, pg_get_ruledef(r.oid), 0
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE VISIBLE AND r.rulename <> '_RETURN';

SELECT 'function', '', quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' ||
  pg_get_function_identity_arguments(p.oid) || ')', concat_ws(' ', CASE WHEN p.prokind = 'a' THEN 'aggregate '
  || (SELECT concat_ws(' ', g.aggtransfn, g.aggfinalfn, format_type(g.aggtranstype, NULL), g.agginitval)
  FROM pg_aggregate g WHERE g.aggfnoid = p.oid) ELSE pg_get_functiondef(p.oid) END, (SELECT 'grants ' ||
  string_agg(g::text, ',' ORDER BY g::text) FROM unnest(nullif(p.proacl, acldefault('f', p.proowner))) g),
  'comment ' || obj_description(p.oid, 'pg_proc')), 0 FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace WHERE VISIBLE AND FREE(pg_proc, p);

SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' ELSE 'type' END, '',
  quote_ident(n.nspname) || '.' || quote_ident(t.typname), concat_ws(' ', (SELECT
  string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e
  WHERE e.enumtypid = t.oid), CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, CASE
  WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault, (SELECT
  string_agg(pg_get_constraintdef(x.oid), ',' ORDER BY pg_get_constraintdef(x.oid)) FROM pg_constraint x
  WHERE x.contypid = t.oid), (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid),
  'comment ' || obj_description(t.oid, 'pg_type')), 0 FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace WHERE VISIBLE AND t.typtype IN ('e', 'd', 'r')
  AND FREE(pg_type, t);

SELECT 'statistics', '', quote_ident(n.nspname) || '.' || quote_ident(s.stxname),
  pg_get_statisticsobjdef(s.oid), 0 FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
  WHERE VISIBLE;

SELECT 'extension', '', e.extname, e.extversion, 0 FROM pg_extension e WHERE e.extname <> 'plpgsql';

SELECT 'publication', '', p.pubname, concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete,
  (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY 1) FROM pg_publication_rel r
  WHERE r.prpubid = p.oid)), 0 FROM pg_publication p;

SELECT 'event trigger', '', t.evtname, concat_ws(' ', t.evtevent, t.evtfoid::regproc, t.evtenabled), 0
  FROM pg_event_trigger t;

SELECT 'default grants', '', concat_ws(' ', d.defaclrole::regrole, d.defaclobjtype, (SELECT nspname
  FROM pg_namespace WHERE oid = d.defaclnamespace)), (SELECT string_agg(a::text, ',' ORDER BY a::text)
  FROM unnest(d.defaclacl) a), 0 FROM pg_default_acl d;
