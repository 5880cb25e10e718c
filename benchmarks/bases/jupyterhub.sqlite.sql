-- The tables of JupyterHub 0.5, which its first revision begins with; made by its own models.
CREATE TABLE servers (
	id INTEGER NOT NULL, 
	proto VARCHAR(15), 
	ip VARCHAR(255), 
	port INTEGER, 
	base_url VARCHAR(255), 
	cookie_name VARCHAR(255), 
	PRIMARY KEY (id)
);
CREATE TABLE hubs (
	id INTEGER NOT NULL, 
	_server_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(_server_id) REFERENCES servers (id)
);
CREATE TABLE proxies (
	id INTEGER NOT NULL, 
	_public_server_id INTEGER, 
	_api_server_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(_public_server_id) REFERENCES servers (id), 
	FOREIGN KEY(_api_server_id) REFERENCES servers (id)
);
CREATE TABLE users (
	id INTEGER NOT NULL, 
	name VARCHAR(1023), 
	_server_id INTEGER, 
	admin BOOLEAN, 
	last_activity DATETIME, 
	cookie_id VARCHAR(1023), 
	state TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(_server_id) REFERENCES servers (id), 
	CHECK (admin IN (0, 1))
);
CREATE TABLE api_tokens (
	id INTEGER NOT NULL, 
	hashed VARCHAR(1023), 
	prefix VARCHAR(1023), 
	user_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES users (id)
);
