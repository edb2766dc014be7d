"""Django's settings. What an installation may set comes from the environment; all of it has a default that works.

BIHUAN_HOME     folder of data, keys and logs                     var/ beside the launcher
DATABASE_URL    an ordinary PostgreSQL 18 server                  the embedded one
BIHUAN_ROLE     owner | app | work: whom the database sees        app
BIHUAN_SECRET   signs sessions                                    a file made at the first start
BIHUAN_MASTER_KEY  file of the master key of personal data        keys/master.key in BIHUAN_HOME
BIHUAN_BACKUP, BIHUAN_BACKUP_DAYS   folder of backups, days kept   none, 30
BIHUAN_KEEP     where heads of the chain are kept too (files or   none
                folders elsewhere, separated by colons)
BIHUAN_HOSTS    host names that the pages answer to               localhost, 127.0.0.1
BIHUAN_PORT     port of the pages                                 8000
BIHUAN_HTTPS    1: cookies over HTTPS only, HSTS                  0
BIHUAN_DEBUG    1: error pages for programmers                    0
"""

from __future__ import annotations

import os
from pathlib import Path

from bihuan.access import limits
from bihuan.site import serve
from bihuan.site.address import address
from bihuan.site.home import FLOORS, SOURCE, home, secret
from bihuan.site.roles import LOGIN, password

BASE = Path(__file__).resolve().parent
HOME = home()
SECRET_KEY = secret()
MASTER_KEY_FILE = Path(os.environ.get("BIHUAN_MASTER_KEY") or HOME / "keys" / "master.key")
KEEP = [place for place in os.environ.get("BIHUAN_KEEP", "").split(os.pathsep) if place]
DEBUG = os.environ.get("BIHUAN_DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("BIHUAN_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
HTTPS = os.environ.get("BIHUAN_HTTPS") == "1"

INSTALLED_APPS = [
    *(f"bihuan.{floor}" for floor in reversed(FLOORS)),
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
]
if "access" in FLOORS and (SOURCE / "access" / "models.py").exists():
    AUTH_USER_MODEL = "access.Officer"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "bihuan.site.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "bihuan.site.middleware.Turns",
    "django.middleware.common.CommonMiddleware",
    "bihuan.site.middleware.Bounded",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    *(["bihuan.site.middleware.Noticed", "bihuan.access.middleware.ActingPost"] if "access" in FLOORS else []),
    "bihuan.site.middleware.PlainText",  # reads the form: after the sign-in
    "bihuan.site.middleware.Patience",
]
ROOT_URLCONF = "bihuan.site.urls"
WSGI_APPLICATION = "bihuan.site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                *(["bihuan.site.context.desk"] if "access" in FLOORS else []),
            ],
        },
    },
]

limits.check()
_address = address()
_role = LOGIN[os.environ.get("BIHUAN_ROLE", "app")]
# In the web process: a connection for each thread (a request holds one at a time) and some to spare. A page's statement
# that runs longer than anybody waits is given up, so that one heavy question does not hold up the others.
STATEMENT_SECONDS_MAX = 20
_is_web = os.environ.get("BIHUAN_POOL") == "1"
_given = dict(_address.options)
if _is_web:
    _given["options"] = f"{_given.get('options', '')} -c statement_timeout={STATEMENT_SECONDS_MAX}s".strip()
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _address.database,
        "HOST": _address.host,
        "PORT": _address.port,
        "USER": _role,
        "PASSWORD": password(_role),
        "CONN_MAX_AGE": 0,  # the pool keeps connections; Django must give them back
        "CONN_HEALTH_CHECKS": True,  # after a restart of the database nobody is given a dead connection
        "OPTIONS": {
            **_given,
            **({"pool": {"min_size": 1, "max_size": serve.threads() + 4, "timeout": 10, "reconnect_timeout": 5}} if _is_web else {}),
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
USE_I18N = True
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "中文"), ("en", "English")]
LOCALE_PATHS = [BASE / "locale"]

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE / "static"] if (BASE / "static").exists() else []
# `serve` and `demo` collect the files under names that carry their content (so browsers keep them for ever).
# Elsewhere, as in tests, they are served from where they lie.
STATIC_HASHED = os.environ.get("BIHUAN_STATIC") == "hashed"
WHITENOISE_USE_FINDERS = not STATIC_HASHED
WHITENOISE_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "bihuan.site.statics.HashedFiles" if STATIC_HASHED else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# Searches for people outside the own range that a post may make within an hour; then it waits, and an alarm is kept.
# Own choice: a call desk meets a few such people an hour, a list of ID numbers is hundreds.
SEARCHES_PER_HOUR = int(os.environ.get("BIHUAN_SEARCHES_PER_HOUR") or 30)
# Persons that a post may read in full, one by one, within an hour; above the smaller number with a fresh second factor, above the
# larger the post waits and the auditors are told. Own choice: calling shows the telephone without it, so a desk needs few.
READS_ALONE_PER_HOUR = int(os.environ.get("BIHUAN_READS_ALONE_PER_HOUR") or 20)
READS_PER_HOUR = int(os.environ.get("BIHUAN_READS_PER_HOUR") or 60)

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = limits.of("BIHUAN_SESSION_HOURS") * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True  # the token travels in the page
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
FILE_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
LOGIN_URL = "/sign-in"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": limits.of("BIHUAN_PASSWORD_LENGTH")},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
