from django.core.management import BaseCommand, CommandError, call_command
from django_tenants.utils import get_public_schema_name, get_tenant_model, tenant_context


class Command(BaseCommand):
    help = "Push orders and apply webhooks of every tenant. Run it every minute."

    def handle(self, *args, **options):
        failed = []
        for tenant in get_tenant_model().objects.exclude(schema_name=get_public_schema_name()):
            try:
                with tenant_context(tenant):
                    call_command("sendcloud_work", once=True)
            except Exception as error:
                failed.append(f"{tenant.schema_name} ({type(error).__name__})")
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}. The others are done.")
