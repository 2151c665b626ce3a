from django.db import models


class Order(models.Model):
    number = models.CharField(max_length=50)
    city = models.CharField(max_length=100, default="Amsterdam")
    placed_at = models.DateTimeField(auto_now_add=True)
    modified_at = models.DateTimeField(auto_now=True)
