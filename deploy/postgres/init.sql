-- A role and a database for each service, so that none can read another's. The image runs this once, on an empty folder.
\set ON_ERROR_STOP on
\getenv catalog_password CATALOG_DATABASE_PASSWORD
\getenv integration_password INTEGRATION_DATABASE_PASSWORD
\getenv status_password STATUS_DATABASE_PASSWORD

CREATE ROLE catalog LOGIN PASSWORD :'catalog_password';
CREATE ROLE integration LOGIN PASSWORD :'integration_password';
CREATE ROLE status LOGIN PASSWORD :'status_password';

-- From template0, for UTF-8 whatever the server's default is. Vietnamese order is a stored key: no collation matters.
CREATE DATABASE catalog OWNER catalog TEMPLATE template0 ENCODING 'UTF8';
CREATE DATABASE integration OWNER integration TEMPLATE template0 ENCODING 'UTF8';
CREATE DATABASE status OWNER status TEMPLATE template0 ENCODING 'UTF8';

REVOKE ALL ON DATABASE catalog, integration, status FROM PUBLIC;
